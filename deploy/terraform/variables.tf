variable "repository" {
  description = "Name of the repository at the git host, without its owner."
  type        = string
  default     = "canary"
}

variable "address" {
  description = "Address of the ingress in front of Flux's Service `webhook-receiver`, such as https://flux-webhook.example.com."
  type        = string

  validation {
    condition     = can(regex("^https://[^/]+$", var.address))
    error_message = "Write the address as https:// and a host, without a slash at its end."
  }
}

variable "name" {
  description = "Name of the Receiver."
  type        = string
  default     = "canary"
}

variable "namespace" {
  description = "Namespace of the Receiver."
  type        = string
  default     = "flux-system"
}

variable "source_name" {
  description = "Name of the GitRepository that the Receiver wakes."
  type        = string
  default     = "canary"
}
