{{/*
The preset: a file of presets/, in the version that the values pin.
*/}}

{{/* The versions of the preset, oldest first, separated by spaces. */}}
{{- define "stream-plugin.versions" -}}
{{- $padded := list -}}
{{- range $path, $_ := .Files.Glob (printf "presets/%s/v*.yaml" .Values.preset) -}}
{{- /* Zeros in front make the order of the text that of the numbers: v10 comes after v9. */ -}}
{{- $padded = append $padded (base $path | trimPrefix "v" | trimSuffix ".yaml" | atoi | printf "%09d") -}}
{{- end -}}
{{- $versions := list -}}
{{- range sortAlpha $padded }}{{ $versions = append $versions (printf "v%s" (regexFind "[1-9][0-9]*$" .)) }}{{ end -}}
{{- join " " $versions -}}
{{- end -}}

{{/* The text of the preset. Reading it anew gives every caller a value of its own to change. */}}
{{- define "stream-plugin.preset" -}}
{{- $known := include "stream-plugin.versions" . | splitList " " | compact -}}
{{- if not $known -}}
{{- $presets := list -}}
{{- range $path, $_ := .Files.Glob "presets/*/v*.yaml" }}{{ $presets = append $presets (dir $path | base) }}{{ end -}}
{{- fail (printf "preset: there is no preset %s; use one of: %s" (quote .Values.preset) (uniq $presets | sortAlpha | join ", ")) -}}
{{- end -}}
{{- $version := .Values.version | default (last $known) -}}
{{- if not (has $version $known) -}}
{{- fail (printf "version: preset %s has no version %s; use one of: %s" .Values.preset (quote $version) (join ", " $known)) -}}
{{- end -}}
{{- .Files.Get (printf "presets/%s/%s.yaml" .Values.preset $version) -}}
{{- end -}}
