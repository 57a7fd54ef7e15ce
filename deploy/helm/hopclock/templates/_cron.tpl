{{/* When a CronJob runs `scenario`, which is called `name`, as JSON: `schedule` and `timeZone`. */}}

{{/* What is no schedule of a CronJob in a text, or nothing. */}}
{{- define "hopclock.cron.wrong" -}}
{{- $text := trim . -}}
{{- $fields := regexSplit "\\s+" $text -1 -}}
{{- if hasPrefix "@" $text -}}
{{- if not (has $text (list "@yearly" "@annually" "@monthly" "@weekly" "@daily" "@midnight" "@hourly")) -}}`{{ $text }}`{{- end -}}
{{- else if ne (len $fields) 5 -}}
{{ len $fields }} fields
{{- else -}}
{{- $ends := list (list 0 59) (list 0 23) (list 1 31) (list 1 12) (list 0 6) -}}
{{- $names := list list list list (list "_" "JAN" "FEB" "MAR" "APR" "MAY" "JUN" "JUL" "AUG" "SEP" "OCT" "NOV" "DEC") (list "SUN" "MON" "TUE" "WED" "THU" "FRI" "SAT") -}}
{{- $wrong := list -}}
{{- range $at, $field := $fields -}}
{{- $first := first (index $ends $at) -}}{{- $last := last (index $ends $at) -}}
{{- range $part := splitList "," $field -}}
{{- $it := upper $part -}}
{{- range $number, $name := index $names $at -}}{{- $it = replace $name (toString $number) $it -}}{{- end -}}
{{- if not (regexMatch "^([*?]|[0-9]+(-[0-9]+)?)(/0*[1-9][0-9]*)?$" $it) -}}
{{- $wrong = append $wrong $part -}}
{{- else -}}
{{- $before := $first -}}
{{- range regexFindAll "[0-9]+" (regexReplaceAll "/.*" $it "") -1 -}}
{{- $number := regexReplaceAll "^0+([0-9])" . "${1}" | int -}}
{{- if or (lt $number $before) (gt $number $last) -}}{{- $wrong = append $wrong $part -}}{{- end -}}
{{- $before = $number -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with uniq $wrong -}}`{{ join "`, `" . }}`{{- end -}}
{{- end -}}
{{- end -}}

{{- define "hopclock.cron" -}}
{{- $given := get .root.Values.cronjob.schedules .name -}}
{{- $own := default dict .scenario.schedule -}}
{{- $takes := "a CronJob takes five fields of numbers, names, ranges, lists and steps (Sunday is 0), or `@hourly` and the like" -}}
{{- $help := printf "say with `cronjob.schedules.%s` when it is to run" .name -}}
{{- if $given -}}
{{- with include "hopclock.cron.wrong" $given -}}
{{- fail (printf "`cronjob.schedules.%s`: `%s` is no schedule of a CronJob (%s): %s" $.name $given . $takes) -}}
{{- end -}}
{{- dict "schedule" $given "timeZone" .root.Values.cronjob.timeZone | toJson -}}
{{- else if $own.cron -}}
{{- with include "hopclock.cron.wrong" $own.cron -}}
{{- fail (printf "scenario `%s`: `%s` is no schedule of a CronJob (%s): %s; %s" $.name $own.cron . $takes $help) -}}
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
