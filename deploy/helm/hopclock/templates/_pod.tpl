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
{{- $own := "$(KUBERNETES_SERVICE_HOST),.svc,.svc.cluster.local,localhost,127.0.0.1" }}
- { name: NO_PROXY, value: {{ prepend (compact (list $v.proxy.noProxy)) $own | join "," | quote }} }
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

{{- define "hopclock.volumes" -}}
{{- $v := .Values -}}
- name: cache
  emptyDir: {}
- name: scenarios
  configMap: { name: {{ include "hopclock.folder" . }} }
{{- if eq $v.state "file" }}
- name: state
  persistentVolumeClaim: { claimName: {{ include "hopclock.claim" . }} }
{{- end }}
{{- if $v.caBundle.configMap }}
- name: ca
  configMap: { name: {{ $v.caBundle.configMap }}, items: [{ key: {{ $v.caBundle.key | quote }}, path: ca.pem }] }
{{- else if $v.caBundle.secret }}
- name: ca
  secret: { secretName: {{ $v.caBundle.secret }}, items: [{ key: {{ $v.caBundle.key | quote }}, path: ca.pem }] }
{{- end }}
{{- if eq $v.requests.by "token" }}
- name: token
  secret: { secretName: {{ $v.requests.tokenSecret.name }}, items: [{ key: {{ $v.requests.tokenSecret.key | quote }}, path: token }] }
{{- end }}
{{- with $v.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "hopclock.mounts" -}}
{{- $v := .Values -}}
- { name: cache, mountPath: /var/cache/hopclock }
- { name: scenarios, mountPath: /etc/hopclock/scenarios, readOnly: true }
{{- if eq $v.state "file" }}
- { name: state, mountPath: /var/lib/hopclock }
{{- end }}
{{- if or $v.caBundle.configMap $v.caBundle.secret }}
- { name: ca, mountPath: /etc/hopclock/ca, readOnly: true }
{{- end }}
{{- if eq $v.requests.by "token" }}
- { name: token, mountPath: /etc/hopclock/token, readOnly: true }
{{- end }}
{{- with $v.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "hopclock.pod.metadata" -}}
labels:
  {{- include "hopclock.selector" . | nindent 2 }}
  {{- with .Values.commonLabels }}{{ toYaml . | nindent 2 }}{{ end }}
  {{- with .Values.podLabels }}{{ toYaml . | nindent 2 }}{{ end }}
{{- with .Values.podAnnotations }}
annotations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where pods run and as whom. */}}
{{- define "hopclock.pod" -}}
{{- $v := .Values -}}
serviceAccountName: {{ include "hopclock.account" . }}
automountServiceAccountToken: true
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
