{{/* voxfleet.labels: labels of every object. Takes (dict "root" $ "component" "gateway"); component is optional. */}}
{{- define "voxfleet.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
app.kubernetes.io/name: voxfleet
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: voxfleet
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{/* voxfleet.selector: labels that select the pods of one component, and of one region when it is given. */}}
{{- define "voxfleet.selector" -}}
app.kubernetes.io/name: voxfleet
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- with .region }}
voxfleet.dev/region: {{ . }}
{{- end }}
{{- end }}

{{/* voxfleet.gateways: {"gateways": [...]}, one entry per gateway Deployment, with every default set. */}}
{{- define "voxfleet.gateways" -}}
{{- $gateways := list -}}
{{- range .Values.gateway.regions -}}
{{- $gateways = append $gateways (dict
      "name" (printf "voxfleet-gateway-%s" .name)
      "region" .name
      "replicas" (default $.Values.gateway.replicas .replicas)
      "nodeSelector" (default (dict "topology.kubernetes.io/region" .name) .nodeSelector)
      "tolerations" (default $.Values.gateway.tolerations .tolerations)) -}}
{{- end -}}
{{- if not $gateways -}}
{{- $gateways = list (dict "name" "voxfleet-gateway" "region" "" "replicas" .Values.gateway.replicas
      "nodeSelector" dict "tolerations" .Values.gateway.tolerations) -}}
{{- end -}}
{{- $names := list -}}
{{- range $gateways -}}
{{- if has .name $names -}}
{{- fail (printf "gateway.regions: the region %q is listed twice; name each region once" .region) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- dict "gateways" $gateways | toYaml -}}
{{- end }}
