{{/* What the pods of a service and of CronJobs share. */}}

{{- define "hopclock.env" -}}
{{- $v := .Values -}}
{{- if or $v.caBundle.configMap $v.caBundle.secret }}
- { name: SSL_CERT_FILE, value: /etc/ssl/certs/ca-certificates.crt }
- { name: SSL_CERT_DIR, value: /etc/hopclock/ca }
{{- end }}
{{- with $v.proxy.http }}
- { name: HTTP_PROXY, value: {{ . | quote }} }
{{- end }}
{{- with $v.proxy.https }}
- { name: HTTPS_PROXY, value: {{ . | quote }} }
{{- end }}
{{- if or $v.proxy.http $v.proxy.https }}
{{- $direct := list "$(KUBERNETES_SERVICE_HOST)" ".svc" ".svc.cluster.local" "localhost" "127.0.0.1" }}
{{- range list $v.cronjob.server $v.push.pushgateway $v.push.remoteWrite $v.push.otlp }}
{{- with . }}
{{- $host := (urlParse .).hostname }}
{{- /* A proxy would read a token that is sent by http, and does not know `SERVICE.NAMESPACE`. */}}
{{- if or (hasPrefix "http:" (lower .)) (le (len (splitList "." $host)) 2) }}{{ $direct = append $direct $host }}{{ end }}
{{- end }}
{{- end }}
- { name: NO_PROXY, value: {{ append $direct $v.proxy.noProxy | compact | uniq | join "," | quote }} }
{{- end }}
{{- with $v.push.pushgateway }}
- { name: HOPCLOCK_PUSHGATEWAY_URL, value: {{ . | quote }} }
{{- end }}
{{- with $v.push.remoteWrite }}
- { name: HOPCLOCK_REMOTE_WRITE_URL, value: {{ . | quote }} }
{{- end }}
{{- with $v.push.otlp }}
- { name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }} }
{{- end }}
{{- if $v.tell.events }}
- { name: HOPCLOCK_EVENTS, value: "true" }
{{- end }}
{{- if $v.tell.jsonLines }}
- { name: HOPCLOCK_JSON_LINES, value: "-" }
{{- end }}
{{- with $v.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "hopclock.clusters" -}}
{{- range $name, $way := .Values.clusters }}
- --cluster={{ $name }}={{ $way }}
{{- end }}
{{- end -}}

{{/* Who sends numbers: each `as` is a writer of its own, for what two call the same would replace each other. */}}
{{- define "hopclock.writer" -}}
{{- $v := .root.Values -}}{{- $place := .root.Release.Namespace -}}
{{- if $v.push.pushgateway }}
- --pushgateway-job={{ $place }}.{{ .as }}
{{- end }}
{{- if $v.push.remoteWrite }}
{{- range $label, $value := merge (dict) $v.push.labels (dict "instance" .as "namespace" $place) }}
- {{ printf "--remote-write-label=%s=%s" $label $value | quote }}
{{- end }}
{{- end }}
{{- if $v.push.otlp }}
{{- range $label, $value := merge (dict) $v.push.labels (dict "service.instance.id" .as "service.namespace" $place) }}
- {{ printf "--otlp-resource=%s=%s" $label $value | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The token that is looked at, or shown: the name of its Secret and the key. */}}
{{- define "hopclock.token" -}}
{{- if include "hopclock.asks" . -}}
{{- if .Values.cronjob.tokenSecret.name -}}{{ toJson .Values.cronjob.tokenSecret }}{{- end -}}
{{- else if eq .Values.requests.by "token" -}}
{{ toJson .Values.requests.tokenSecret }}
{{- end -}}
{{- end -}}

{{- define "hopclock.volumes" -}}
{{- $v := .Values -}}
{{- if not (include "hopclock.asks" .) }}
- name: cache
  emptyDir: {}
- name: scenarios
  configMap: { name: {{ include "hopclock.folder" . | quote }} }
{{- end }}
{{- if eq $v.state "file" }}
- name: state
  persistentVolumeClaim: { claimName: {{ include "hopclock.claim" . | quote }} }
{{- end }}
{{- if $v.caBundle.configMap }}
- name: ca
  configMap: { name: {{ $v.caBundle.configMap | quote }}, items: [{ key: {{ $v.caBundle.key | quote }}, path: ca.pem }] }
{{- else if $v.caBundle.secret }}
- name: ca
  secret: { secretName: {{ $v.caBundle.secret | quote }}, items: [{ key: {{ $v.caBundle.key | quote }}, path: ca.pem }] }
{{- end }}
{{- with include "hopclock.token" . }}
{{- $it := fromJson . }}
- name: token
  secret: { secretName: {{ $it.name | quote }}, items: [{ key: {{ $it.key | quote }}, path: token }] }
{{- end }}
{{- with $v.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "hopclock.mounts" -}}
{{- $v := .Values -}}
{{- if not (include "hopclock.asks" .) }}
- { name: cache, mountPath: /var/cache/hopclock }
- { name: scenarios, mountPath: /etc/hopclock/scenarios, readOnly: true }
{{- end }}
{{- if eq $v.state "file" }}
- { name: state, mountPath: /var/lib/hopclock }
{{- end }}
{{- if or $v.caBundle.configMap $v.caBundle.secret }}
- { name: ca, mountPath: /etc/hopclock/ca, readOnly: true }
{{- end }}
{{- if include "hopclock.token" . }}
- { name: token, mountPath: /etc/hopclock/token, readOnly: true }
{{- end }}
{{- with $v.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "hopclock.pod.metadata" -}}
{{- $own := include "hopclock.selector" .root | fromYaml -}}
labels: {{ merge $own .more .root.Values.podLabels .root.Values.commonLabels | toYaml | nindent 2 }}
{{- with .root.Values.podAnnotations }}
annotations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where pods run and as whom. */}}
{{- define "hopclock.pod" -}}
{{- $v := .Values -}}
serviceAccountName: {{ include "hopclock.account" . | quote }}
automountServiceAccountToken: {{ not (and (include "hopclock.asks" .) $v.cronjob.tokenSecret.name) }}
enableServiceLinks: false
{{- with $v.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
securityContext: {{ toYaml $v.podSecurityContext | nindent 2 }}
{{- with $v.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with $v.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with $v.affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with $v.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* The container, but for its arguments and what it shows. */}}
{{- define "hopclock.container" -}}
name: hopclock
image: {{ include "hopclock.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext: {{ toYaml .Values.securityContext | nindent 2 }}
resources: {{ toYaml .Values.resources | nindent 2 }}
{{- with include "hopclock.env" . | trim }}
env: {{ . | nindent 2 }}
{{- end }}
{{- end -}}
