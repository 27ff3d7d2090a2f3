{{/* voxfleet.dnsPeerSecret: the Secret by which regions report: the engine's own, or that of the gateways' first region. */}}
{{- define "voxfleet.dnsPeerSecret" -}}
{{- $secret := .Values.peerTLS.secretName -}}
{{- if .Values.dns.peerTLS.secretName -}}
{{- .Values.dns.peerTLS.secretName -}}
{{- else if not (contains "{region}" $secret) -}}
{{- $secret -}}
{{- else if .Values.gateway.regions -}}
{{- $secret | replace "{region}" (first .Values.gateway.regions).name -}}
{{- else -}}
{{- fail (printf "peerTLS.secretName is %q, and gateway.regions is empty: set dns.peerTLS.secretName to a Secret with a region's certificate" $secret) -}}
{{- end -}}
{{- end }}

{{/* voxfleet.dnsLocationVolume: the source of the volume with location databases: the engine's own, or the gateways'. */}}
{{- define "voxfleet.dnsLocationVolume" -}}
{{- if .Values.dns.locationDatabase.existingClaim -}}
persistentVolumeClaim: {claimName: {{ .Values.dns.locationDatabase.existingClaim }}, readOnly: true}
{{- else if .Values.gateway.locationDatabase -}}
{{- toYaml .Values.gateway.locationDatabase -}}
{{- end -}}
{{- end }}
