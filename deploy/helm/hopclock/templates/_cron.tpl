{{/* When a CronJob runs `scenario`, which is called `name`, as JSON: `schedule` and `timeZone`. */}}

{{- define "hopclock.cron" -}}
{{- $given := get .root.Values.cronjob.schedules .name -}}
{{- $own := default dict .scenario.schedule -}}
{{- $help := printf "say with `cronjob.schedules.%s` when it is to run" .name -}}
{{- if $given -}}
{{- dict "schedule" $given "timeZone" .root.Values.cronjob.timeZone | toJson -}}
{{- else if $own.cron -}}
{{- if regexMatch "[LW#]" (upper $own.cron | replace "JUL" "" | replace "WED" "") -}}
{{- fail (printf "scenario `%s`: `%s` says more than a CronJob can: %s" .name $own.cron $help) -}}
{{- end -}}
{{- dict "schedule" $own.cron "timeZone" (default "Etc/UTC" $own.timezone) | toJson -}}
{{- else if $own.every -}}
{{- $every := $own.every -}}
{{- $number := regexFind "^[0-9]+" $every | int -}}
{{- if and (regexMatch "^[1-9][0-9]*m$" $every) (le $number 60) (eq (mod 60 $number) 0) -}}
{{- $minutes := ternary "0" (printf "*/%d" $number) (eq $number 60) -}}
{{- dict "schedule" (printf "%s * * * *" $minutes) "timeZone" "Etc/UTC" | toJson -}}
{{- else if and (regexMatch "^[1-9][0-9]*h$" $every) (le $number 24) (eq (mod 24 $number) 0) -}}
{{- $hours := ternary "0" (printf "*/%d" $number) (eq $number 24) -}}
{{- dict "schedule" (printf "0 %s * * *" $hours) "timeZone" "Etc/UTC" | toJson -}}
{{- else -}}
{{- fail (printf "scenario `%s`: `every: %s` does not fit into the hour or the day, so no CronJob ticks so: %s" .name $every $help) -}}
{{- end -}}
{{- else -}}
{{- fail (printf "scenario `%s` has no schedule: %s" .name $help) -}}
{{- end -}}
{{- end -}}
