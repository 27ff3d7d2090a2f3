{{/*
voxfleet.voiceStorage: where the gateways keep voices. {kind: the gateways' workload, volume: of their pods; claim: the
spec of a claim for each pod, which is then its volume; shared: the spec of one claim for all}.
*/}}
{{- define "voxfleet.voiceStorage" -}}
{{- $voices := .Values.gateway.voices -}}
{{- $asked := $voices.persistence -}}
{{- if and $asked.existingClaim (not $asked.enabled) -}}
{{- fail "gateway.voices.persistence.existingClaim: it is used with gateway.voices.persistence.enabled=true only; set both" -}}
{{- end -}}
{{- if and $asked.enabled (not $voices.enabled) -}}
{{- fail "gateway.voices.persistence.enabled: there are no voices to keep without gateway.voices.enabled=true" -}}
{{- end -}}
{{- $spec := dict "accessModes" (list $asked.accessMode) "resources" (dict "requests" (dict "storage" $asked.size)) -}}
{{- with $asked.storageClassName -}}
{{- $_ := set $spec "storageClassName" . -}}
{{- end -}}
{{- if not $voices.enabled -}}
{{- dict "kind" "Deployment" | toYaml -}}
{{- else if not $asked.enabled -}}
{{- dict "kind" "Deployment" "volume" (dict "emptyDir" (dict "sizeLimit" $asked.size)) | toYaml -}}
{{- else if $asked.existingClaim -}}
{{- dict "kind" "Deployment" "volume" (dict "persistentVolumeClaim" (dict "claimName" $asked.existingClaim)) | toYaml -}}
{{- else if eq $asked.accessMode "ReadWriteMany" -}}
{{- dict "kind" "Deployment" "shared" $spec
      "volume" (dict "persistentVolumeClaim" (dict "claimName" "voxfleet-voices")) | toYaml -}}
{{- else -}}
{{- dict "kind" "StatefulSet" "claim" $spec | toYaml -}}
{{- end -}}
{{- end }}
