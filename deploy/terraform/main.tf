# A Receiver of Flux and the webhook that calls it, from one random token.
#
# Both the secret that the host signs with and the path that it calls follow from the token: a Receiver's path is
# `/hook/` and the SHA-256 of token, name and namespace. So Terraform knows the address beforehand, and whoever exchanges the
# token (`terraform apply -replace=random_password.token`) exchanges all in one step: the Secret, then the Receiver, then the webhook.

terraform {
  required_version = ">= 1.5"
  required_providers {
    random = {
      source  = "hashicorp/random"
      version = "~> 3.6"
    }
    kubernetes = {
      source  = "hashicorp/kubernetes"
      version = "~> 2.30"
    }
    github = {
      source  = "integrations/github"
      version = "~> 6.0"
    }
  }
}

resource "random_password" "token" {
  length  = 40
  special = false
}

locals {
  path = "/hook/${sha256("${random_password.token.result}${var.name}${var.namespace}")}"
}

resource "kubernetes_secret_v1" "token" {
  metadata {
    name      = "${var.name}-hook"
    namespace = var.namespace
  }
  data = {
    token = random_password.token.result
  }
}

resource "kubernetes_manifest" "receiver" {
  manifest = {
    apiVersion = "notification.toolkit.fluxcd.io/v1"
    kind       = "Receiver"
    metadata = {
      name      = var.name
      namespace = var.namespace
      annotations = {
        # Flux does not look at the Secret, only every ten minutes at the Receiver: a token that changes has it look now.
        "reconcile.fluxcd.io/requestedAt" = sha256(local.path)
      }
    }
    spec = {
      type   = "github"
      events = ["ping", "push"]
      secretRef = {
        name = kubernetes_secret_v1.token.metadata[0].name
      }
      resources = [{
        apiVersion = "source.toolkit.fluxcd.io/v1"
        kind       = "GitRepository"
        name       = var.source_name
      }]
    }
  }
}

# With GitLab it is `gitlab_project_hook` with `url`, `token` and `push_events`, and the Receiver's type `gitlab`.
resource "github_repository_webhook" "flux" {
  repository = var.repository
  events     = ["push"]
  active     = true

  configuration {
    url          = "${var.address}${local.path}"
    secret       = random_password.token.result
    content_type = "json"
    insecure_ssl = false
  }

  # Nobody calls an address at which nobody is yet: a new token goes to the Receiver first.
  depends_on = [kubernetes_manifest.receiver]
}
