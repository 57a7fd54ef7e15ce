{{/* Values that contradict each other, each with a sentence that says what would be right. */}}

{{- define "hopclock.check" -}}
{{- $v := .Values -}}
{{- $jobs := eq $v.profile "cronjob" -}}
{{- if gt (int $v.replicas) 1 -}}
{{- fail (printf "`replicas: %v`: two hopclocks would push to the same lanes and write the same totals, so there is one; leave `replicas` at 1" $v.replicas) -}}
{{- end -}}
{{- if and $v.existingConfigMap $v.scenarios -}}
{{- fail "`existingConfigMap` and `scenarios` are both given: the folder of scenarios is one ConfigMap, so choose who keeps it" -}}
{{- end -}}
{{- if and $v.existingConfigMap $v.rbac.create (not $v.rbac.rules) -}}
{{- fail "the chart cannot see the scenarios of `existingConfigMap`, so it cannot tell which rights they need: give `rbac.rules`, as `hopclock doctor` names them, or set `rbac.create: false`" -}}
{{- end -}}
{{- if and (eq $v.state "file") (not $v.persistence.enabled) -}}
{{- fail "`state: file` without `persistence.enabled` would lose all state with the pod: enable it, or use `state: configmap`" -}}
{{- end -}}
{{- if and $v.persistence.enabled (ne $v.state "file") -}}
{{- fail (printf "`persistence.enabled` with `state: %s` keeps nothing on the volume: set `state: file`" $v.state) -}}
{{- end -}}
{{- if and $v.persistence.existingClaim (not $v.persistence.enabled) -}}
{{- fail "`persistence.existingClaim` is given, but `persistence.enabled` is not: enable it to mount the claim" -}}
{{- end -}}
{{- if and $v.serviceMonitor.enabled $v.podMonitor.enabled -}}
{{- fail "`serviceMonitor` and `podMonitor` are both enabled, so each series would be there twice: choose one" -}}
{{- end -}}
{{- if and $v.caBundle.configMap $v.caBundle.secret -}}
{{- fail "`caBundle.configMap` and `caBundle.secret` are both given: name one of them" -}}
{{- end -}}
{{- if and (eq $v.requests.by "token") (not $v.requests.tokenSecret.name) -}}
{{- fail "`requests.by: token` needs `requests.tokenSecret.name`, the Secret whose token lets somebody ask for a run" -}}
{{- end -}}
{{- if and $v.requests.tokenSecret.name (ne $v.requests.by "token") -}}
{{- fail (printf "`requests.tokenSecret.name` is given, but with `requests.by: %s` nobody would look at it: set `requests.by: token`" $v.requests.by) -}}
{{- end -}}
{{- if and $v.requests.accounts (ne $v.requests.by "review") -}}
{{- fail (printf "`requests.accounts` are known by their tokens, but with `requests.by: %s` the cluster is not asked: set `requests.by: review`" $v.requests.by) -}}
{{- end -}}
{{- if and $v.networkPolicy.enabled (not $jobs) (not $v.networkPolicy.scrapeFrom) -}}
{{- fail "`networkPolicy.enabled` without `networkPolicy.scrapeFrom` lets nobody scrape: name your Prometheus, such as `[{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: monitoring } } }]`" -}}
{{- end -}}
{{- if and $v.networkPolicy.enabled $v.notifications.enabled (not $v.networkPolicy.notifyFrom) -}}
{{- fail "`networkPolicy.notifyFrom: []` would let everybody reach the port of notifications, for an empty list says so to Kubernetes: name who notifies, or leave the value out for Flux's notification-controller" -}}
{{- end -}}
{{- if and $v.networkPolicy.enabled (eq $v.requests.by "none") $v.networkPolicy.requestsFrom -}}
{{- fail "`networkPolicy.requestsFrom` lets somebody ask for runs, but `requests.by: none` answers nobody: set `requests.by`" -}}
{{- end -}}
{{- if and $v.networkPolicy.enabled (not $jobs) (ne $v.requests.by "none") (not $v.networkPolicy.requestsFrom) -}}
{{- fail (printf "`requests.by: %s` lets somebody ask for runs, but `networkPolicy.enabled` without `networkPolicy.requestsFrom` lets nobody reach the port to do so: name who asks, or set `requests.by: none`" $v.requests.by) -}}
{{- end -}}
{{- if and $v.notifications.enabled (eq (int $v.service.port) (int $v.service.notifyPort)) -}}
{{- fail (printf "`service.port` and `service.notifyPort` are both %d, and a Service has each port once: choose another for one of them" (int $v.service.port)) -}}
{{- end -}}
{{- if and $v.notifications.alerts $v.existingConfigMap -}}
{{- fail "`notifications.alerts` are made from the `notified` hops, and the chart cannot see those of `existingConfigMap`: make the Alerts yourself, or give `scenarios`" -}}
{{- end -}}
{{- if and $v.requests.accounts (not (or $v.scenarios $v.existingConfigMap)) -}}
{{- fail "`requests.accounts` may ask for each of `scenarios`, and there is none: give `scenarios`, or leave the accounts out" -}}
{{- end -}}
{{- if and $v.prometheusRule.enabled (not $v.prometheusRule.builtin) (not $v.prometheusRule.additionalGroups) -}}
{{- fail "`prometheusRule.enabled` with `builtin: false` and no `additionalGroups` installs no rule: give groups, or leave `builtin` at true" -}}
{{- end -}}
{{- if and $v.prometheusRule.runbooks (not $v.prometheusRule.builtin) -}}
{{- fail "`prometheusRule.runbooks` is for the rules that come with the chart, and `builtin: false` leaves them out: leave out one of the two" -}}
{{- end -}}
{{- if and (not $v.serviceAccount.create) (not $v.serviceAccount.name) -}}
{{- fail "`serviceAccount.create: false` without `serviceAccount.name`: say which account the pods run as, for there is none of the name of the release" -}}
{{- end -}}
{{- range list "secrets" "objects" "plurals" "rules" -}}
{{- if and (not $v.rbac.create) (index $v.rbac .) -}}
{{- fail (printf "`rbac.%s` is given, but with `rbac.create: false` no Role is made of it: leave one of the two out" .) -}}
{{- end -}}
{{- end -}}
{{- $labels := dict "commonLabels" $v.commonLabels "podLabels" $v.podLabels -}}
{{- range list "serviceMonitor" "podMonitor" "prometheusRule" "dashboards" -}}
{{- $_ := set $labels (printf "%s.labels" .) (index $v .).labels -}}
{{- end -}}
{{- range $value, $given := $labels -}}
{{- range $label := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/version" "app.kubernetes.io/managed-by" "helm.sh/chart" "hopclock.dev/scenario" -}}
{{- if hasKey (default dict $given) $label -}}
{{- fail (printf "`%s` has `%s`, which is the chart's own: by such labels pods are found; take another" $value $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $v.push.labels (not (or $v.push.remoteWrite $v.push.otlp)) -}}
{{- fail "`push.labels` go with remote write and OTLP, and neither is asked for (a Pushgateway groups by job and instance only): give `push.remoteWrite` or `push.otlp`, or leave them out" -}}
{{- end -}}
{{- if and $v.notifications.enabled (not $v.notifications.listeners) -}}
{{- fail "`notifications.enabled` without `notifications.listeners`: say where the token of a listener is, such as `flux: { secret: flux-system/hopclock-token }`" -}}
{{- end -}}
{{- if and $v.notifications.listeners (not (or $v.notifications.enabled $v.notifications.alerts)) -}}
{{- fail "`notifications.listeners` are given, but nobody listens: set `notifications.enabled`, or leave them out, for the right to their Secrets would be given in vain" -}}
{{- end -}}
{{- if and $v.notifications.alerts (not $v.notifications.enabled) -}}
{{- fail "`notifications.alerts` would have Flux call a port that nobody listens at: set `notifications.enabled`" -}}
{{- end -}}
{{- range $listener, $proof := $v.notifications.listeners -}}
{{- if not (or $proof.secret $proof.unsigned) -}}
{{- fail (printf "listener `%s` has no token: give it `secret: NAMESPACE/NAME`, or `unsigned: true`, which lets everybody in who reaches the port" $listener) -}}
{{- end -}}
{{- if and $proof.secret $proof.unsigned -}}
{{- fail (printf "listener `%s` has a token and is `unsigned`: leave one out" $listener) -}}
{{- end -}}
{{- end -}}
{{- if and $v.proxy.noProxy (not (or $v.proxy.http $v.proxy.https)) -}}
{{- fail "`proxy.noProxy` says who is reached without a proxy, and there is none: give `proxy.http` or `proxy.https`, or leave it out" -}}
{{- end -}}
{{- range list "serviceMonitor" "podMonitor" -}}
{{- $it := index $v . -}}
{{- if and $it.interval $it.scrapeTimeout (gt (include "hopclock.seconds" $it.scrapeTimeout | float64) (include "hopclock.seconds" $it.interval | float64)) -}}
{{- fail (printf "`%s.scrapeTimeout: %s` is longer than `%s.interval: %s`, and Prometheus refuses all that it would scrape then: make it at most as long" . $it.scrapeTimeout . $it.interval) -}}
{{- end -}}
{{- end -}}
{{- include "hopclock.check.names" . -}}
{{- if $jobs -}}{{ include "hopclock.check.jobs" . }}{{- else -}}{{ include "hopclock.check.service" . }}{{- end -}}
{{- include "hopclock.check.scenarios" . -}}
{{- end -}}

{{/* Names that Kubernetes would refuse, and ConfigMaps that would be two things at a time. */}}
{{- define "hopclock.check.names" -}}
{{- $v := .Values -}}{{- $name := include "hopclock.name" . -}}
{{- if and (eq $v.profile "service") (not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name)) -}}
{{- fail (printf "the objects would be called `%s`, and the name of a Service begins with a letter and has none but lower-case letters, digits and `-`: give such a `fullnameOverride`" $name) -}}
{{- end -}}
{{- if and (eq $v.state "configmap") (not (include "hopclock.asks" .)) -}}
{{- $kept := dict "hopclock-echo" "is what a hopclock watches to know that the cluster answers" -}}
{{- $_ := set $kept (include "hopclock.folder" .) "holds the scenarios" -}}
{{- with $v.caBundle.configMap -}}{{- $_ := set $kept . "holds `caBundle.configMap`" -}}{{- end -}}
{{- if and $v.dashboards.enabled (eq (default .Release.Namespace $v.dashboards.namespace) .Release.Namespace) -}}
{{- range $path, $_ := .Files.Glob "files/dashboards/*.json" -}}
{{- $_ := set $kept (printf "%s-dashboard-%s" $name (base $path | trimSuffix ".json")) "holds a dashboard" -}}
{{- end -}}
{{- end -}}
{{- range $state := include "hopclock.states" . | splitList "\n" | compact -}}
{{- with get $kept $state -}}
{{- fail (printf "the state would be kept in the ConfigMap `%s`, which %s: give another `stateName`" $state .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "hopclock.check.service" -}}
{{- $usual := dict "mode" "run" "server" "" "schedules" dict "timeZone" "" "undelivered" "ok" "suspend" false "startingDeadlineSeconds" 60 "historyLimit" 3 -}}
{{- range $key, $it := omit .Values.cronjob "tokenSecret" -}}
{{- if not (or (kindIs "invalid" $it) (eq (toJson $it) (get $usual $key | toJson))) -}}
{{- fail (printf "`cronjob.%s` is for `profile: cronjob`, and this is `profile: service`: leave it out, or change the profile" $key) -}}
{{- end -}}
{{- end -}}
{{- if .Values.cronjob.tokenSecret.name -}}
{{- fail "`cronjob.tokenSecret` is for `profile: cronjob`, and this is `profile: service`: leave it out, or change the profile; whom the service answers is said in `requests`" -}}
{{- end -}}
{{- end -}}

{{- define "hopclock.check.jobs" -}}
{{- $v := .Values -}}
{{- range list "serviceMonitor" "podMonitor" "notifications" -}}
{{- if (index $v .).enabled -}}
{{- fail (printf "`%s.enabled` needs a pod that stays, and with `profile: cronjob` there is none: use `profile: service`" .) -}}
{{- end -}}
{{- end -}}
{{- if ne $v.requests.by "none" -}}
{{- fail (printf "`requests.by: %s` lets others ask a service for runs, and with `profile: cronjob` there is none: use `profile: service`" $v.requests.by) -}}
{{- end -}}
{{- if $v.tell.jsonLines -}}
{{- fail "`tell.jsonLines` is for the service: the pod of a CronJob prints its run anyway, as JSON with `extraArgs: [--output=json]`" -}}
{{- end -}}
{{- if $v.existingConfigMap -}}
{{- fail "`profile: cronjob` makes a CronJob for each of `scenarios`, and those of `existingConfigMap` the chart cannot see: give `scenarios`" -}}
{{- end -}}
{{- if and (eq $v.state "file") (gt (len $v.scenarios) 1) (not $v.persistence.existingClaim) (not (has "ReadWriteMany" $v.persistence.accessModes)) -}}
{{- fail (printf "`state: file` with `profile: cronjob` has the pods of %d scenarios share one volume, and with `persistence.accessModes: [%s]` those on another node would wait for it: use `[ReadWriteMany]`, or `state: configmap`" (len $v.scenarios) (join ", " $v.persistence.accessModes)) -}}
{{- end -}}
{{- $pushes := or $v.push.pushgateway $v.push.remoteWrite $v.push.otlp -}}
{{- if eq $v.cronjob.mode "trigger" -}}
{{- if not $v.cronjob.server -}}
{{- fail "`cronjob.mode: trigger` needs `cronjob.server`, the address of the hopclock that makes the runs" -}}
{{- end -}}
{{- if or $pushes $v.persistence.enabled $v.tell.events -}}
{{- fail "with `cronjob.mode: trigger` the service that makes the runs keeps, pushes and tells what was measured: leave `push`, `tell` and `persistence` out here, or use `cronjob.mode: run`" -}}
{{- end -}}
{{- if $v.prometheusRule.enabled -}}
{{- fail "`prometheusRule.enabled` with `cronjob.mode: trigger`: what is alerted on is counted by the service that makes the runs, so install the rules with that one" -}}
{{- end -}}
{{- else -}}
{{- if $v.cronjob.tokenSecret.name -}}
{{- fail "`cronjob.tokenSecret` is shown to a service, but with `cronjob.mode: run` nobody is asked: set `cronjob.mode: trigger`" -}}
{{- end -}}
{{- if and $v.prometheusRule.enabled (not $pushes) -}}
{{- fail "`prometheusRule.enabled` with `profile: cronjob` needs numbers that somebody keeps, and no pod stays to be scraped: give `push.remoteWrite`, `push.otlp` or `push.pushgateway`" -}}
{{- end -}}
{{- if $v.cronjob.server -}}
{{- fail "`cronjob.server` is given, but with `cronjob.mode: run` nobody asks it: set `cronjob.mode: trigger`" -}}
{{- end -}}
{{- if and (eq $v.state "none") $pushes -}}
{{- fail "`state: none` with `push`: each pod would push counters that begin at 0 again, and nobody could add them up; use `state: configmap` or `file`" -}}
{{- end -}}
{{- end -}}
{{- range $name, $_ := $v.cronjob.schedules -}}
{{- if not (hasKey $v.scenarios $name) -}}
{{- fail (printf "`cronjob.schedules` names `%s`, and there is no such scenario: it is one of %s" $name (keys $v.scenarios | sortAlpha | join ", ")) -}}
{{- end -}}
{{- end -}}
{{- if not $v.scenarios -}}
{{- fail "`profile: cronjob` makes a CronJob for each of `scenarios`, and there is none: give `scenarios`" -}}
{{- end -}}
{{- include "hopclock.check.times" . -}}
{{- end -}}

{{/* Schedules and deadlines that the pods, the files and the rules would see differently. */}}
{{- define "hopclock.check.times" -}}
{{- $v := .Values -}}{{- $runs := eq $v.cronjob.mode "run" -}}
{{- $builtin := and $runs $v.prometheusRule.enabled $v.prometheusRule.builtin (or $v.push.remoteWrite $v.push.otlp) -}}
{{- $window := "" -}}
{{- if $builtin -}}
{{- $window = .Files.Get "files/rules/hopclock-pushed.yaml" | regexFind "absent_over_time\\(hopclock_build_info\\[[0-9a-z]+\\]" | regexFind "[0-9a-z]+\\]" | trimSuffix "]" -}}
{{- end -}}
{{- range $name, $it := include "hopclock.scenarios" . | fromYaml -}}
{{- $cron := include "hopclock.cron" (dict "root" $ "name" $name "scenario" $it) | fromJson -}}
{{- $own := default dict $it.schedule -}}
{{- if and $runs (get $v.cronjob.schedules $name) (kindIs "string" (index $v.scenarios $name)) -}}
{{- $read := (include "hopclock.file" (dict "root" $ "scenario" $name) | fromYaml).schedule | default dict -}}
{{- if not (and (eq (include "hopclock.cron.fields" $cron.schedule) (default "" $read.cron)) (eq $cron.timeZone (default "Etc/UTC" $read.timezone))) -}}
{{- fail (printf "scenario `%s` is given as text that has a schedule, which `cronjob.schedules.%s` cannot replace, so its metrics would tell another schedule than that of its CronJob: write `schedule: { cron: \"%s\", timezone: %s }` there, or give the scenario as an object" $name $name (include "hopclock.cron.fields" $cron.schedule) $cron.timeZone) -}}
{{- end -}}
{{- end -}}
{{- $late := ternary (default "" $own.jitter) "" $runs -}}
{{- $takes := addf (include "hopclock.seconds" $late) (include "hopclock.seconds" (default "" $it.deadline)) -}}
{{- with $v.cronjob.activeDeadlineSeconds -}}
{{- if and $it.deadline (lt (int .) (int (addf $takes $v.graceSeconds))) -}}
{{- fail (printf "`cronjob.activeDeadlineSeconds: %d` would end runs of scenario `%s` that are not through, for with its deadline%s and `graceSeconds` one may take %d: give at least that, or leave it out" (int .) $name (ternary ", its jitter" "" (not (empty $late))) (int (addf $takes $v.graceSeconds))) -}}
{{- end -}}
{{- end -}}
{{- if $builtin -}}
{{- $silent := include "hopclock.cron.silent" (dict "schedule" $cron.schedule "pause" $own.pause) | float64 -}}
{{- if gt (addf $silent $takes) (addf (include "hopclock.seconds" $window) 900.0) -}}
{{- fail (printf "scenario `%s` may have no run for %.1f days, and the rules that come with the chart look back for %s, so they would say in between that hopclock is gone: set `prometheusRule.builtin: false`, and give in `prometheusRule.additionalGroups` the groups that `hopclock rules --pushed FILE…` writes for your scenarios" $name (divf $silent 86400.0) $window) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "hopclock.check.scenarios" -}}
{{- $v := .Values -}}
{{- range $name, $it := include "hopclock.scenarios" . | fromYaml -}}
{{- if not (regexMatch "^[a-z0-9]([a-z0-9-]{0,60}[a-z0-9])?$" $name) -}}
{{- fail (printf "scenario `%s`: use at most 62 lower-case letters, digits and `-`, for objects bear the name" $name) -}}
{{- end -}}
{{- if ne $it.name $name -}}
{{- fail (printf "scenario `%s` calls itself `%s`: give it the name of its key, or leave `name` out" $name $it.name) -}}
{{- end -}}
{{- range $hop := $it.hops -}}
{{- with $hop.notified -}}
{{- $listener := default "flux" .listener -}}
{{- if eq $v.profile "cronjob" -}}
{{- if eq $v.cronjob.mode "run" -}}
{{- fail (printf "scenario `%s` has a `notified` hop, and with `profile: cronjob` nobody would listen when Flux calls: use `profile: service`, or leave the hop out" $name) -}}
{{- end -}}
{{- else if not $v.notifications.enabled -}}
{{- fail (printf "scenario `%s` has a `notified` hop, but nobody listens: set `notifications.enabled`" $name) -}}
{{- else if not (hasKey $v.notifications.listeners $listener) -}}
{{- fail (printf "scenario `%s` waits for listener `%s`, and `notifications.listeners` has none of that name" $name $listener) -}}
{{- end -}}
{{- end -}}
{{- with $hop.cluster -}}
{{- if not (hasKey $v.clusters .) -}}
{{- fail (printf "scenario `%s` looks into cluster `%s`, and `clusters` does not say how it is reached: add `%s: secret:NAMESPACE/NAME`" $name . .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
