{{/* voxfleet.egress: the egress rules of one component's pods. Takes (dict "root" $ "component" "gateway"). */}}
{{- define "voxfleet.egress" -}}
{{- $egress := .root.Values.networkPolicy.egress -}}
{{- if not $egress.apiServer -}}
{{- fail "networkPolicy.egress.enabled needs networkPolicy.egress.apiServer: `kubectl get endpointslices kubernetes` and the Service `kubernetes` of the namespace default have the addresses" -}}
{{- end -}}
{{- $gateways := dict "podSelector" (dict "matchLabels" (include "voxfleet.selector" (dict "root" .root "component" "gateway") | fromYaml)) -}}
{{- $servers := dict "namespaceSelector" dict "podSelector" (dict "matchExpressions" (list (dict "key" "voxfleet.dev/deployment" "operator" "Exists"))) -}}
- ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
# Networks judge a connection by the pod's port behind the Service. OpenShift's pods of DNS have this one.
- to:
    - namespaceSelector: {}
  ports: [{port: 5353, protocol: UDP}, {port: 5353, protocol: TCP}]
- to:
    {{- range $egress.apiServer }}
    - ipBlock: {cidr: {{ . }}}
    {{- end }}
  ports: [{port: 443, protocol: TCP}, {port: 6443, protocol: TCP}]
- to:
    {{- list $gateways | toYaml | nindent 4 }}
  ports: [{port: 9091, protocol: TCP}, {port: 6006, protocol: TCP}]
{{- if ne .component "dns" }}
- to:
    {{- list $servers | toYaml | nindent 4 }}
  ports: [{port: 9091, protocol: TCP}{{ if eq .component "gateway" }}, {port: 6006, protocol: TCP}{{ end }}]
{{- end }}
{{- with $egress.extra }}
{{ toYaml . }}
{{- end }}
{{- end }}
