{{/*
What the scenarios need, one request a line: NAMESPACE|GROUP|RESOURCE|NAME|VERB. No name means all
of the namespace, no namespace the whole cluster. `hopclock doctor` asks for the same, and a test
takes each of them away to see that it is missed.
*/}}

{{/* The keys by which hops name objects: the resource, its group, and whether a run reads it. */}}
{{- define "hopclock.kinds" -}}
receiver: [receivers, notification.toolkit.fluxcd.io, read]
git_repository: [gitrepositories, source.toolkit.fluxcd.io, read]
oci_repository: [ocirepositories, source.toolkit.fluxcd.io, read]
bucket: [buckets, source.toolkit.fluxcd.io, read]
helm_repository: [helmrepositories, source.toolkit.fluxcd.io, read]
helm_chart: [helmcharts, source.toolkit.fluxcd.io, read]
external_artifact: [externalartifacts, source.toolkit.fluxcd.io, read]
image_repository: [imagerepositories, image.toolkit.fluxcd.io, read]
image_policy: [imagepolicies, image.toolkit.fluxcd.io, read]
image_update_automation: [imageupdateautomations, image.toolkit.fluxcd.io, read]
kustomization: [kustomizations, kustomize.toolkit.fluxcd.io, read]
helm_release: [helmreleases, helm.toolkit.fluxcd.io, read]
config_map: [configmaps, "", ""]
secret: [secrets, "", ""]
deployment: [deployments, apps, ""]
stateful_set: [statefulsets, apps, ""]
daemon_set: [daemonsets, apps, ""]
flagger_canary: [canaries, flagger.app, ""]
terraform: [terraforms, infra.contrib.fluxcd.io, ""]
crossplane_provider: [providers, pkg.crossplane.io, ""]
certificate: [certificates, cert-manager.io, ""]
resource_set: [resourcesets, fluxcd.controlplane.io, ""]
flux_instance: [fluxinstances, fluxcd.controlplane.io, ""]
artifact_generator: [artifactgenerators, source.extensions.fluxcd.io, ""]
{{- end -}}

{{/* Who may use what is pushed to; listed wherever they may be. */}}
{{- define "hopclock.others" -}}
- [gitrepositories, source.toolkit.fluxcd.io]
- [kustomizations, kustomize.toolkit.fluxcd.io]
- [helmreleases, helm.toolkit.fluxcd.io]
- [alerts, notification.toolkit.fluxcd.io]
- [imageupdateautomations, image.toolkit.fluxcd.io]
- [ocirepositories, source.toolkit.fluxcd.io]
- [helmrepositories, source.toolkit.fluxcd.io]
- [helmcharts, source.toolkit.fluxcd.io]
- [buckets, source.toolkit.fluxcd.io]
- [artifactgenerators, source.extensions.fluxcd.io]
- [imagepolicies, image.toolkit.fluxcd.io]
- [imagerepositories, image.toolkit.fluxcd.io]
{{- end -}}

{{/* What says in which of Flux's traces a run is told, if runs are told as traces; read wherever it may be. */}}
{{- define "hopclock.traced" -}}
{{- $off := false -}}
{{- range .Values.extraEnv -}}
{{- if and (eq .name "OTEL_TRACES_EXPORTER") (eq (toString .value) "none") -}}{{- $off = true -}}{{- end -}}
{{- end -}}
{{- if and .Values.push.otlp (not $off) -}}
- [providers, notification.toolkit.fluxcd.io]
- [kustomizations, kustomize.toolkit.fluxcd.io]
{{- end -}}
{{- end -}}

{{/* A request for `object` (NAMESPACE/NAME) with `verbs`. */}}
{{- define "hopclock.want" -}}
{{- $parts := splitList "/" .object -}}
{{- $namespace := "" -}}{{- $name := last $parts -}}
{{- if gt (len $parts) 1 -}}{{- $namespace = first $parts -}}{{- end -}}
{{- range .verbs -}}
{{ printf "%s|%s|%s|%s|%s\n" $namespace $.group $.resource $name . }}
{{- end -}}
{{- end -}}

{{/* What following `object` of the kind `key` needs, and the events that tell of it. */}}
{{- define "hopclock.want.followed" -}}
{{- $kind := index (include "hopclock.kinds" . | fromYaml) .key -}}
{{- $verbs := list "list" "watch" -}}
{{- if or .read (index $kind 2) -}}{{- $verbs = append $verbs "get" -}}{{- end -}}
{{- include "hopclock.want" (dict "object" .object "resource" (index $kind 0) "group" (index $kind 1) "verbs" $verbs) -}}
{{- include "hopclock.want.events" .object -}}
{{- end -}}

{{/* What reading `object` of the kind `key` needs. */}}
{{- define "hopclock.want.read" -}}
{{- $kind := index (include "hopclock.kinds" . | fromYaml) .key -}}
{{- include "hopclock.want" (dict "object" .object "resource" (index $kind 0) "group" (index $kind 1) "verbs" (list "get")) -}}
{{- end -}}

{{- define "hopclock.want.events" -}}
{{- $parts := splitList "/" . -}}
{{ printf "%s||events||list\n" (ternary (first $parts) "default" (gt (len $parts) 1)) }}
{{- end -}}

{{/* Every `secret: NAMESPACE/NAME` somewhere in a trigger. */}}
{{- define "hopclock.want.secrets" -}}
{{- range $key, $value := . -}}
{{- if kindIs "map" $value -}}{{ include "hopclock.want.secrets" $value }}
{{- else if and (eq $key "secret") (kindIs "string" $value) -}}
{{- include "hopclock.want" (dict "object" $value "resource" "secrets" "group" "" "verbs" (list "get")) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What a trigger reads; its source is followed where somebody applies it. */}}
{{- define "hopclock.want.trigger" -}}
{{- $sources := dict "git_commit" "git_repository" "oci_artifact" "oci_repository" "bucket_object" "bucket" -}}
{{- $applied := false -}}
{{- range .hops -}}{{- if .applied -}}{{- $applied = true -}}{{- end -}}{{- end -}}
{{- range $kind, $it := .trigger -}}
{{- with $it.source -}}
{{- include (ternary "hopclock.want.followed" "hopclock.want.read" $applied) (dict "key" (get $sources $kind) "object" .) -}}
{{- end -}}
{{- with $it.policy -}}{{ include "hopclock.want.read" (dict "key" "image_policy" "object" .) }}{{- end -}}
{{- range list "helm_release" "helm_chart" -}}
{{- $key := . -}}
{{- with index $it . -}}{{ include "hopclock.want.read" (dict "key" $key "object" .) }}{{- end -}}
{{- end -}}
{{- with $it.receiver -}}{{ include "hopclock.want.followed" (dict "key" "receiver" "object" .) }}{{- end -}}
{{- with $it.git -}}{{- with .source -}}
{{- include "hopclock.want.read" (dict "key" "git_repository" "object" .) -}}
{{- end -}}{{- end -}}
{{- include "hopclock.want.secrets" $it -}}
{{- end -}}
{{- end -}}

{{/* What a hop needs: `kind` is its key, `it` what stands there. */}}
{{- define "hopclock.want.hop" -}}
{{- $kinds := include "hopclock.kinds" . | fromYaml -}}
{{- $root := .root -}}{{- $kind := .kind -}}
{{- if ne $kind "notified" -}}
{{- range $key, $object := .it -}}
{{- if and (eq $key "object") (kindIs "map" $object) -}}
{{- $group := default "" $object.group -}}
{{- $plural := get $root.Values.rbac.plurals (printf "%s.%s" $object.kind $group | trimSuffix ".") -}}
{{- $guess := printf "%ss" (lower $object.kind) -}}
{{- if regexMatch "(s|x|z|ch|sh)$" (lower $object.kind) -}}
{{- $guess = printf "%ses" (lower $object.kind) -}}
{{- else if regexMatch "[^aeiou]y$" (lower $object.kind) -}}
{{- $guess = printf "%sies" (trimSuffix "y" (lower $object.kind)) -}}
{{- end -}}
{{- $object := ternary (printf "%s/%s" $object.namespace $object.name) $object.name (not (empty $object.namespace)) -}}
{{- $verbs := list "list" "watch" -}}
{{- if hasSuffix "toolkit.fluxcd.io" $group -}}{{- $verbs = append $verbs "get" -}}{{- end -}}
{{- include "hopclock.want" (dict "object" $object "resource" (default $guess $plural) "group" $group "verbs" $verbs) -}}
{{- include "hopclock.want.events" $object -}}
{{- else if and (hasKey $kinds $key) (kindIs "string" $object) -}}
{{- include "hopclock.want.followed" (dict "key" $key "object" $object "read" (eq $kind "rolled_out")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A path that is discovered at each run: all that Flux has beside its target. */}}
{{- define "hopclock.want.target" -}}
{{- $namespace := values . | first | splitList "/" | first -}}
{{- range list "git_repository" "oci_repository" "bucket" "helm_repository" "helm_chart" "kustomization" "helm_release" "receiver" -}}
{{- include "hopclock.want.followed" (dict "key" . "object" (printf "%s/" $namespace)) -}}
{{- end -}}
{{- end -}}

{{/* What all scenarios need in this cluster. */}}
{{- define "hopclock.want.scenarios" -}}
{{- $root := . -}}
{{- range $name, $scenario := include "hopclock.scenarios" . | fromYaml -}}
{{- include "hopclock.want.trigger" $scenario -}}
{{- with $scenario.target -}}{{ include "hopclock.want.target" . }}{{- end -}}
{{- range $hop := $scenario.hops -}}
{{- if not $hop.cluster -}}
{{- range $kind, $it := $hop -}}
{{- if kindIs "map" $it -}}{{ include "hopclock.want.hop" (dict "root" $root "kind" $kind "it" $it) }}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $key, $objects := .Values.rbac.objects -}}
{{- range $objects -}}{{ include "hopclock.want.followed" (dict "key" $key "object" .) }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* What hopclock needs for itself: leases, state, echo, and Secrets. */}}
{{- define "hopclock.want.own" -}}
{{- $place := .Release.Namespace -}}{{- $v := .Values -}}
{{- range list "get" "create" "update" -}}{{ printf "%s|coordination.k8s.io|leases||%s\n" $place . }}{{- end -}}
{{- $jobs := eq $v.profile "cronjob" -}}
{{- if or (eq $v.state "configmap") (not $jobs) -}}{{ printf "%s||configmaps||create\n" $place }}{{- end -}}
{{- if eq $v.state "configmap" -}}
{{- range $name := include "hopclock.states" . | splitList "\n" | compact -}}
{{- range list "get" "update" -}}{{ printf "%s||configmaps|%s|%s\n" $place $name . }}{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $jobs -}}
{{- range list "list" "watch" "patch" -}}{{ printf "%s||configmaps|hopclock-echo|%s\n" $place . }}{{- end -}}
{{- end -}}
{{- $secrets := $v.rbac.secrets -}}
{{- range $v.notifications.listeners -}}{{- with .secret -}}{{- $secrets = append $secrets . -}}{{- end -}}{{- end -}}
{{- range $v.clusters -}}
{{- $parts := trimPrefix "secret:" . | splitList "/" -}}
{{- $secrets = append $secrets (printf "%s/%s" (index $parts 0) (index $parts 1)) -}}
{{- end -}}
{{- range $secrets -}}
{{- include "hopclock.want" (dict "object" . "resource" "secrets" "group" "" "verbs" (list "get")) -}}
{{- end -}}
{{- if eq $v.requests.by "review" -}}
{{ printf "|authentication.k8s.io|tokenreviews||create\n|authorization.k8s.io|subjectaccessreviews||create\n" }}
{{- end -}}
{{- end -}}

{{/*
All lines. Where a service follows two objects of a kind in a namespace, it follows the whole kind
there, so the right to one of them would not do. What is allowed for all needs no name.
*/}}
{{- define "hopclock.wants" -}}
{{- $lines := list -}}{{- $names := dict -}}{{- $v := .Values -}}
{{- $followed := include "hopclock.want.scenarios" . | splitList "\n" | uniq | compact -}}
{{- if $v.tell.events -}}
{{- /* An Event names its object by its uid, which has to be read. */}}
{{- range $followed -}}
{{- if hasSuffix "|events||list" . -}}
{{- $followed = append $followed (trimSuffix "list" . | printf "%screate") -}}
{{- $followed = append $followed (trimSuffix "list" . | printf "%spatch") -}}
{{- else if hasSuffix "|watch" . -}}
{{- $followed = append $followed (trimSuffix "watch" . | printf "%sget") -}}
{{- end -}}
{{- end -}}
{{- $followed = uniq $followed -}}
{{- end -}}
{{- range $followed -}}
{{- $it := splitList "|" . -}}
{{- if ne (last $it) "get" -}}
{{- $key := printf "%s|%s|%s|%s" (index $it 0) (index $it 1) (index $it 2) (last $it) -}}
{{- $_ := set $names $key (append (default list (get $names $key)) (index $it 3)) -}}
{{- end -}}
{{- end -}}
{{- range $followed -}}
{{- $it := splitList "|" . -}}
{{- $key := printf "%s|%s|%s|%s" (index $it 0) (index $it 1) (index $it 2) (last $it) -}}
{{- if gt (len (default list (get $names $key))) 1 -}}
{{- $lines = append $lines (printf "%s|%s|%s||%s" (index $it 0) (index $it 1) (index $it 2) (last $it)) -}}
{{- else -}}
{{- $lines = append $lines . -}}
{{- end -}}
{{- end -}}
{{- if and $followed (eq $v.rbac.scope "cluster") -}}
{{- range include "hopclock.others" . | fromYamlArray -}}
{{- $lines = append $lines (printf "|%s|%s||list" (index . 1) (index . 0)) -}}
{{- end -}}
{{- range include "hopclock.traced" . | fromYamlArray -}}
{{- $lines = append $lines (printf "|%s|%s||get" (index . 1) (index . 0)) -}}
{{- end -}}
{{- else -}}
{{- $namespaces := list -}}
{{- range $name, $scenario := include "hopclock.scenarios" . | fromYaml -}}
{{- range $kind, $it := $scenario.trigger -}}
{{- with coalesce $it.source $it.policy $it.helm_release $it.helm_chart $it.receiver -}}
{{- $namespaces = append $namespaces (splitList "/" . | first) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $others := include "hopclock.others" . | fromYamlArray -}}
{{- $traced := include "hopclock.traced" . | fromYamlArray -}}
{{- range uniq $namespaces -}}
{{- $namespace := . -}}
{{- range $others -}}
{{- $lines = append $lines (printf "%s|%s|%s||list" $namespace (index . 1) (index . 0)) -}}
{{- end -}}
{{- range $traced -}}
{{- $lines = append $lines (printf "%s|%s|%s||get" $namespace (index . 1) (index . 0)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $lines = concat $lines (include "hopclock.want.own" . | splitList "\n") | uniq | compact -}}
{{- $kept := list -}}
{{- range $lines -}}
{{- $it := splitList "|" . -}}
{{- $here := printf "%s|%s|%s||%s" (index $it 0) (index $it 1) (index $it 2) (last $it) -}}
{{- $everywhere := printf "|%s|%s||%s" (index $it 1) (index $it 2) (last $it) -}}
{{- if not (or (and (ne . $here) (has $here $lines)) (and (ne . $everywhere) (has $everywhere $lines))) -}}
{{- $kept = append $kept . -}}
{{- end -}}
{{- end -}}
{{- $kept | join "\n" -}}
{{- end -}}

{{/* The rules by namespace, as YAML: what is alike is one rule. */}}
{{- define "hopclock.rules" -}}
{{- $verbs := dict -}}
{{- range include "hopclock.wants" . | splitList "\n" | compact -}}
{{- $it := splitList "|" . -}}
{{- $object := printf "%s|%s|%s|%s" (index $it 0) (index $it 1) (index $it 2) (index $it 3) -}}
{{- $_ := set $verbs $object (append (default list (get $verbs $object)) (index $it 4)) -}}
{{- end -}}
{{- $names := dict -}}
{{- range $object, $may := $verbs -}}
{{- $it := splitList "|" $object -}}
{{- $alike := printf "%s|%s|%s|%s|%s" (index $it 0) (index $it 1) (index $it 2) (join "," (sortAlpha $may)) (ternary "one" "all" (ne (index $it 3) "")) -}}
{{- $_ := set $names $alike (append (default list (get $names $alike)) (index $it 3)) -}}
{{- end -}}
{{- $rules := dict -}}
{{- range $alike := keys $names | sortAlpha -}}
{{- $it := splitList "|" $alike -}}
{{- $rule := dict "apiGroups" (list (index $it 1)) "resources" (list (index $it 2)) "verbs" (splitList "," (index $it 3)) -}}
{{- if eq (index $it 4) "one" -}}{{- $_ := set $rule "resourceNames" (get $names $alike | sortAlpha) -}}{{- end -}}
{{- $place := default "*" (index $it 0) -}}
{{- $_ := set $rules $place (append (default list (get $rules $place)) $rule) -}}
{{- end -}}
{{- range $namespace, $more := .Values.rbac.rules -}}
{{- $place := default "*" $namespace -}}
{{- $_ := set $rules $place (concat (default list (get $rules $place)) $more) -}}
{{- end -}}
{{- toYaml $rules -}}
{{- end -}}
