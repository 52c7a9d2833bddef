{{/*
Refuses values that the schema cannot judge, all of them at once, each with its field: what Kubernetes or the operator would
refuse in the rendered objects is named here by the field that the user wrote.
*/}}
{{- define "stream-plugin.check" -}}
{{- $preset := include "stream-plugin.preset" . | fromYaml -}}
{{- $name := include "stream-plugin.name" . -}}
{{- $bad := list -}}

{{- if gt (len $name) 50 -}}
{{- $bad = append $bad (printf "name: %s has %d characters, and the names of the installed objects derive from it; use at most 50" $name (len $name)) -}}
{{- end -}}

{{- /* Without a tag it would be "latest", and with it another plugin after each pull. */ -}}
{{- $last := splitList "/" .Values.image | last -}}
{{- if not (or (contains ":" $last) (contains "@" $last)) -}}
{{- $bad = append $bad (printf "image: %s has neither a tag nor a digest; add one, such as %s:v0.1.0" .Values.image .Values.image) -}}
{{- end -}}

{{- /* The first part may be a registry, whose name may have capitals. */ -}}
{{- $path := splitList "@" .Values.image | first -}}
{{- if contains "/" $path -}}
{{- $path = regexReplaceAll "^[^/]*/" $path "" -}}
{{- end -}}
{{- $path = regexReplaceAll ":[^/:]*$" $path "" -}}
{{- if ne $path (lower $path) -}}
{{- $bad = append $bad (printf "image: %s has capitals in its path, which no image can have; write %s" .Values.image (lower $path)) -}}
{{- end -}}

{{- $seen := list -}}
{{- range $i, $env := .Values.env -}}
{{- if hasPrefix "STREAMCONTEXT__" $env.name -}}
{{- $bad = append $bad (printf "env[%d].name: %s: names that begin with STREAMCONTEXT__ are the operator's; rename it" $i $env.name) -}}
{{- end -}}
{{- if has $env.name $seen -}}
{{- $bad = append $bad (printf "env[%d].name: %s is there twice; remove one of the two" $i $env.name) -}}
{{- end -}}
{{- $seen = append $seen $env.name -}}
{{- end -}}

{{- /* Level restricted of the Pod Security Standards lists the kinds of volumes that it allows. */ -}}
{{- $allowed := list "name" "configMap" "csi" "downwardAPI" "emptyDir" "ephemeral" "persistentVolumeClaim" "projected" "secret" -}}
{{- $volumes := list -}}
{{- range $i, $volume := .Values.volumes -}}
{{- if has $volume.name $volumes -}}
{{- $bad = append $bad (printf "volumes[%d].name: %s is there twice; rename one of the two" $i $volume.name) -}}
{{- end -}}
{{- $volumes = append $volumes $volume.name -}}
{{- if eq $preset.class.podSecurityLevel "restricted" -}}
{{- range $kind := keys $volume | sortAlpha -}}
{{- if not (has $kind $allowed) -}}
{{- $bad = append $bad (printf "volumes[%d].%s: the Pod Security Standards forbid it at level restricted, which preset %s keeps; use a persistentVolumeClaim" $i $kind $.Values.preset) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- $paths := list -}}
{{- range $i, $mount := .Values.volumeMounts -}}
{{- if not (has $mount.name $volumes) -}}
{{- $bad = append $bad (printf "volumeMounts[%d].name: there is no volume %s; add it to volumes" $i $mount.name) -}}
{{- end -}}
{{- if has $mount.mountPath $paths -}}
{{- $bad = append $bad (printf "volumeMounts[%d].mountPath: %s is there twice; choose another path" $i $mount.mountPath) -}}
{{- end -}}
{{- $paths = append $paths $mount.mountPath -}}
{{- end -}}

{{- range $key, $_ := .Values.podLabels -}}
{{- if or (regexMatch "^(arcane|streaming[.]sneaksanddata[.]com|batch[.]kubernetes[.]io)/" $key) (has $key (list "app.kubernetes.io/managed-by" "controller-uid" "job-name")) -}}
{{- $bad = append $bad (printf "podLabels[%s]: is set by the operator or by Kubernetes; remove it" $key) -}}
{{- end -}}
{{- end -}}

{{- /* Helm reads these from what it renders: a user could keep the object past the uninstall, or give it to another release. */ -}}
{{- range $key, $_ := (.Values.serviceAccount | default dict).annotations -}}
{{- if regexMatch "^(.*[.])?helm[.]sh/" $key -}}
{{- $bad = append $bad (printf "serviceAccount.annotations[%s]: belongs to Helm; remove it" $key) -}}
{{- end -}}
{{- end -}}

{{- range $mode := list "streaming" "backfill" -}}
{{- $resources := include "stream-plugin.resources" (dict "root" $ "mode" $mode "preset" $preset) | fromJson -}}
{{- $limits := $resources.limits | default dict -}}
{{- range $resource, $request := $resources.requests -}}
{{- if hasKey $limits $resource -}}
{{- $limit := get $limits $resource -}}
{{- if gt (include "stream-plugin.number" $request | float64) (include "stream-plugin.number" $limit | float64) -}}
{{- $bad = append $bad (printf "%s.resources.limits.%s: %v is less than the request of %v; raise it, or set %s.resources.requests" $mode $resource $limit $request $mode) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if eq "0" (include "stream-plugin.memory" (dict "resources" $resources "share" $preset.memory.share)) -}}
{{- $bad = append $bad (printf "%s.resources.limits.memory: %v is too little for any program; use a value such as 512Mi" $mode $limits.memory) -}}
{{- end -}}
{{- end -}}

{{- if $bad }}{{ fail (join "\n" $bad) }}{{ end -}}
{{- end -}}
