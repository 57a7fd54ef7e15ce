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

{{/* A schedule of a CronJob as five fields, as scenario files have it. */}}
{{- define "hopclock.cron.fields" -}}
{{- $names := dict "@yearly" "0 0 1 1 *" "@annually" "0 0 1 1 *" "@monthly" "0 0 1 * *" "@weekly" "0 0 * * 0" "@daily" "0 0 * * *" "@midnight" "0 0 * * *" "@hourly" "0 * * * *" -}}
{{- default . (get $names .) | replace "?" "*" -}}
{{- end -}}

{{/* The values from `first` to `last` that `field` has, with `names` for them, as JSON. */}}
{{- define "hopclock.cron.values" -}}
{{- $first := int .first -}}{{- $last := int .last -}}{{- $all := list -}}{{- $names := .names -}}
{{- range splitList "," .field -}}
{{- $it := upper . -}}
{{- range $number, $name := $names -}}{{- $it = replace $name (toString $number) $it -}}{{- end -}}
{{- $step := regexFind "/.*" $it | trimPrefix "/" | default "1" | int -}}
{{- $range := regexReplaceAll "/.*" $it "" | replace "*" (printf "%d-%d" $first $last) -}}
{{- $from := regexFind "^[0-9]+" $range | trimPrefix "0" | int -}}
{{- $to := ternary (ternary $last $from (contains "/" $it)) (regexFind "[0-9]+$" $range | trimPrefix "0" | int) (not (contains "-" $range)) -}}
{{- range untilStep $from (int (add $to 1)) $step -}}{{- $all = append $all . -}}{{- end -}}
{{- end -}}
{{- toJson $all -}}
{{- end -}}

{{/*
How many seconds may lie between two runs of a CronJob. Of its ticks only the days are looked at, those of
four years; a pause that comes again may begin right after a run, and one that comes once is soon forgotten.
*/}}
{{- define "hopclock.cron.silent" -}}
{{- $fields := regexSplit "\\s+" (include "hopclock.cron.fields" .schedule | trim) -1 -}}
{{- $days := 1 -}}
{{- $any := eq (join " " (slice $fields 2 5)) "* * *" -}}
{{- if not $any -}}
{{- $months := list "_" "JAN" "FEB" "MAR" "APR" "MAY" "JUN" "JUL" "AUG" "SEP" "OCT" "NOV" "DEC" -}}
{{- $weekdays := list "SUN" "MON" "TUE" "WED" "THU" "FRI" "SAT" -}}
{{- $day := include "hopclock.cron.values" (dict "field" (index $fields 2) "first" 1 "last" 31 "names" list) | fromJsonArray -}}
{{- $month := include "hopclock.cron.values" (dict "field" (index $fields 3) "first" 1 "last" 12 "names" $months) | fromJsonArray -}}
{{- $weekday := include "hopclock.cron.values" (dict "field" (index $fields 4) "first" 0 "last" 6 "names" $weekdays) | fromJsonArray -}}
{{- /* Where both say something, either of them will do. */}}
{{- $either := not (or (eq (index $fields 2) "*") (eq (index $fields 4) "*")) -}}
{{- $seen := -1 -}}
{{- range $at := until 1500 -}}
{{- $date := dateInZone "1 2" (add 1798761600 (mul $at 86400)) "UTC" | splitList " " -}}
{{- $is := list (has (last $date | float64) $day) (has (mod (add $at 5) 7 | float64) $weekday) -}}
{{- if and (has (first $date | float64) $month) (ternary (or (first $is) (last $is)) (and (first $is) (last $is)) $either) -}}
{{- if ge $seen 0 -}}{{- $days = max $days (sub $at $seen) -}}{{- end -}}
{{- $seen = $at -}}
{{- end -}}
{{- end -}}
{{- $days = max $days (sub 1500 $seen) -}}
{{- end -}}
{{- $silent := mulf $days 86400 -}}
{{- range .pause -}}
{{- with .for -}}{{- $silent = maxf $silent (include "hopclock.seconds" . | float64 | addf 86400) -}}{{- end -}}
{{- end -}}
{{- $silent -}}
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
{{- dict "schedule" $given "timeZone" (default "Etc/UTC" .root.Values.cronjob.timeZone) | toJson -}}
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
