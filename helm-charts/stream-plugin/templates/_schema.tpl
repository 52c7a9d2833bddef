{{/*
Adds a schema of the values to the preset's, in place. Takes a dict of into, from and path. What the preset says stays; a
list called required is united, at every level, so that a field that either asks for is asked for.

sprig's merge does not do: it takes 0 and false for absent, and the preset's `maxLength: 0` keeps passwords out of specs.
*/}}
{{- define "stream-plugin.addSchema" -}}
{{- $into := .into -}}
{{- $path := .path -}}
{{- range $key, $value := .from -}}
{{- $there := get $into $key -}}
{{- if and (eq $key "nullable") (kindIs "bool" $value) (kindIs "string" (get $into "type")) (not (hasKey $into $key)) -}}
{{- fail (printf "%s.nullable: would let null take the place of what the preset asks for; remove it" $path) -}}
{{- else if not (hasKey $into $key) -}}
{{- $_ := set $into $key $value -}}
{{- else if and (kindIs "map" $there) (kindIs "map" $value) -}}
{{- include "stream-plugin.addSchema" (dict "into" $there "from" $value "path" (printf "%s.%s" $path $key)) -}}
{{- else if and (eq $key "required") (kindIs "slice" $there) (kindIs "slice" $value) -}}
{{- $_ := set $into $key (concat $there $value | uniq) -}}
{{- end -}}
{{- end -}}
{{- end -}}
