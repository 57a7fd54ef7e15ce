{{/* Names, labels and the scenarios in one form. */}}

{{- define "hopclock.name" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "hopclock.account" -}}
{{- default (include "hopclock.name" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "hopclock.selector" -}}
app.kubernetes.io/name: hopclock
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "hopclock.labels" -}}
{{ include "hopclock.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The metadata that all objects share, but for their names. */}}
{{- define "hopclock.image" -}}
{{- $image := .Values.image -}}
{{- $name := $image.repository -}}
{{- with $image.registry }}{{ $name = printf "%s/%s" (trimSuffix "/" .) $name }}{{ end -}}
{{- if $image.digest -}}
{{ $name }}@{{ $image.digest }}
{{- else -}}
{{ $name }}:{{ default .Chart.AppVersion $image.tag }}
{{- end -}}
{{- end -}}

{{/* All scenarios by name, each as an object. */}}
{{- define "hopclock.scenarios" -}}
{{- $all := dict -}}
{{- range $name, $given := .Values.scenarios -}}
{{- $it := $given -}}
{{- if kindIs "string" $given -}}
{{- $it = fromYaml $given -}}
{{- if hasKey $it "Error" -}}
{{- fail (printf "scenario `%s` is no YAML: %s" $name $it.Error) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $all $name (merge (dict) $it (dict "name" $name)) -}}
{{- end -}}
{{- toYaml $all -}}
{{- end -}}

{{/* The ConfigMap whose keys are the scenario files. */}}
{{- define "hopclock.folder" -}}
{{- default (printf "%s-scenarios" (include "hopclock.name" .)) .Values.existingConfigMap -}}
{{- end -}}

{{/* The text of the scenario that `scenario` is called, for `root`. */}}
{{- define "hopclock.file" -}}
{{- $given := index .root.Values.scenarios .scenario -}}
{{- if kindIs "string" $given -}}
{{- $given -}}
{{- else -}}
{{- toYaml (merge (dict) $given (dict "name" .scenario)) -}}
{{- end -}}
{{- end -}}

{{/* The claim that the state is kept in. */}}
{{- define "hopclock.claim" -}}
{{- default (printf "%s-state" (include "hopclock.name" .)) .Values.persistence.existingClaim -}}
{{- end -}}
