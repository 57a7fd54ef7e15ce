{{/* Names, labels and the scenarios in one form. */}}

{{/* `name` in at most `most` letters: one that is cut keeps apart from its like by a sum of the whole. */}}
{{- define "hopclock.short" -}}
{{- if le (len .name) .most -}}
{{ .name }}
{{- else -}}
{{ trunc (int (sub .most 9)) .name | trimSuffix "-" | trimSuffix "." }}-{{ sha256sum .name | trunc 8 }}
{{- end -}}
{{- end -}}

{{- define "hopclock.name" -}}
{{- include "hopclock.short" (dict "name" (default .Release.Name .Values.fullnameOverride) "most" 40) -}}
{{- end -}}

{{/*
The name with its namespace, for what lies elsewhere. Where either has a `-` itself, nobody could tell
where the one ends, so a sum of both is added.
*/}}
{{- define "hopclock.placed" -}}
{{- $name := include "hopclock.name" . -}}
{{ .Release.Namespace }}-{{ $name }}
{{- if contains "-" (print .Release.Namespace $name) }}-{{ printf "%s/%s" .Release.Namespace $name | sha256sum | trunc 8 }}{{ end -}}
{{- end -}}

{{/* The name of what may lie in `place`: there it has its namespace before it, unless it is at home. */}}
{{- define "hopclock.name.in" -}}
{{- include (ternary "hopclock.name" "hopclock.placed" (eq .place .root.Release.Namespace)) .root -}}
{{- end -}}

{{/* The ConfigMap that the state is kept in. */}}
{{- define "hopclock.state" -}}
{{- default (printf "%s-state" (include "hopclock.name" .)) .Values.stateName -}}
{{- end -}}

{{/* The ConfigMaps that states are kept in, one a line: each CronJob has its own. */}}
{{- define "hopclock.states" -}}
{{- $state := include "hopclock.state" . -}}
{{- if eq .Values.profile "cronjob" -}}
{{- range $name, $_ := .Values.scenarios }}{{ printf "%s-%s\n" $state $name }}{{ end -}}
{{- else -}}
{{ $state }}
{{- end -}}
{{- end -}}

{{/* Whether pods only ask a service that runs elsewhere; empty if not. */}}
{{- define "hopclock.asks" -}}
{{- if and (eq .Values.profile "cronjob") (eq .Values.cronjob.mode "trigger") -}}true{{- end -}}
{{- end -}}

{{- define "hopclock.account" -}}
{{- default (include "hopclock.name" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "hopclock.selector" -}}
app.kubernetes.io/name: hopclock
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* A text as the value of a label: versions have a `+`, as Flux adds it to that of a chart. */}}
{{- define "hopclock.label" -}}
{{- regexReplaceAll "[^A-Za-z0-9._-]" . "_" | trunc 63 | trimAll "-_." -}}
{{- end -}}

{{/* The labels of all objects. */}}
{{- define "hopclock.labels" -}}
{{- include "hopclock.labels.with" (dict "root" . "more" dict) -}}
{{- end -}}

{{/* The same with `more`, each of them once. */}}
{{- define "hopclock.labels.with" -}}
{{- $root := .root -}}
{{- $own := include "hopclock.selector" $root | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/version" (include "hopclock.label" $root.Chart.AppVersion) -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | include "hopclock.label") -}}
{{- merge $own (default dict .more) $root.Values.commonLabels | toYaml -}}
{{- end -}}

{{/* What keeps Flux from putting values of its own where a text says `${…}`. */}}
{{- define "hopclock.verbatim" -}}
kustomize.toolkit.fluxcd.io/substitute: disabled
{{- end -}}

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
{{- $kinds := list "git_commit" "image_tag" "image_digest" "oci_artifact" "bucket_object" "helm_chart" "receiver_post" "receiver_get" -}}
{{- if kindIs "string" $given -}}
{{- $it = fromYaml $given -}}
{{- if hasKey $it "Error" -}}
{{- fail (printf "scenario `%s` is no YAML: %s" $name $it.Error) -}}
{{- end -}}
{{- end -}}
{{- if not (kindIs "map" $it.trigger) -}}
{{- fail (printf "scenario `%s` has no `trigger`: it is an object with one key, one of %s" $name (join ", " $kinds)) -}}
{{- end -}}
{{- range $kind, $_ := $it.trigger -}}
{{- if not (has $kind $kinds) -}}
{{- fail (printf "scenario `%s`: there is no trigger `%s`: it is one of %s" $name $kind (join ", " $kinds)) -}}
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
{{- $moved := get .root.Values.cronjob.schedules .scenario -}}
{{- $ticks := dict -}}
{{- if $moved -}}
{{- /* Metrics and alerts go by the file, so it says when the CronJob ticks. */}}
{{- $cron := include "hopclock.cron" (dict "root" .root "name" .scenario "scenario" dict) | fromJson -}}
{{- $ticks = dict "cron" (include "hopclock.cron.fields" $cron.schedule) "timezone" $cron.timeZone -}}
{{- end -}}
{{- if kindIs "string" $given -}}
{{- $given -}}
{{- if and $moved (not (fromYaml $given).schedule) }}
schedule: {{ toJson $ticks }}
{{ end -}}
{{- else if $moved -}}
{{- $schedule := merge $ticks (omit (default dict $given.schedule) "every" "cron" "timezone") -}}
{{- toYaml (merge (dict "schedule" $schedule) (omit $given "schedule") (dict "name" .scenario)) -}}
{{- else -}}
{{- toYaml (merge (dict) $given (dict "name" .scenario)) -}}
{{- end -}}
{{- end -}}

{{/* The claim that the state is kept in. */}}
{{- define "hopclock.claim" -}}
{{- default (printf "%s-state" (include "hopclock.name" .)) .Values.persistence.existingClaim -}}
{{- end -}}
