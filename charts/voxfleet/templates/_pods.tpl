{{/* voxfleet.image: the full image name. Takes (dict "root" $ "image" .Values.operator.image). */}}
{{- define "voxfleet.image" -}}
{{- $settings := .root.Values.image -}}
{{- with $settings.registry }}{{ . }}/{{ end }}{{ .image.repository -}}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ coalesce .image.tag $settings.tag .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{/* voxfleet.podSecurityContext: satisfies the "restricted" Pod Security Standard. */}}
{{- define "voxfleet.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "voxfleet.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
privileged: false
capabilities: {drop: [ALL]}
{{- end }}

{{/* voxfleet.sharedEnv: environment variables that operator and gateways both read. */}}
{{- define "voxfleet.sharedEnv" -}}
- name: VOXFLEET_SYSTEM_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: VOXFLEET_DEMAND_NAMESPACE
  value: {{ .Values.demandNamespace.name | quote }}
- name: VOXFLEET_INTERNAL_KEY
  valueFrom: {secretKeyRef: {name: {{ include "voxfleet.internalSecret" . }}, key: key}}
{{- end }}

{{- define "voxfleet.internalSecret" -}}
{{ .Values.internalKey.existingSecret | default "voxfleet-internal" }}
{{- end }}

{{/* voxfleet.voicePeers: host and port of every gateway of this cluster. */}}
{{- define "voxfleet.voicePeers" -}}
voxfleet-gateway-internal.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:9091
{{- end }}
