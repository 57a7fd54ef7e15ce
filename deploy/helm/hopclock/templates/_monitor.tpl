{{/* What a ServiceMonitor and a PodMonitor share: `it` are the values of one of them. */}}

{{- define "hopclock.monitor.histograms" -}}
scrapeClassicHistograms: {{ .scrapeClassicHistograms }}
{{- if .scrapeNativeHistograms }}
scrapeNativeHistograms: true
scrapeProtocols: [PrometheusProto, OpenMetricsText1.0.0, PrometheusText0.0.4]
{{- end }}
{{- end -}}

{{- define "hopclock.monitor.endpoint" -}}
port: http
path: /metrics
{{- with .interval }}
interval: {{ . }}
{{- end }}
{{- with .scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- with .relabelings }}
relabelings: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .metricRelabelings }}
metricRelabelings: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
