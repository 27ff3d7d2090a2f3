{{/* voxfleet.dashboard: Grafana's JSON of one files/dashboards/*.yaml. Takes (dict "name" "fleet" "given" <its YAML>). */}}
{{- define "voxfleet.dashboard" -}}
{{- $source := dict "type" "prometheus" "uid" "${datasource}" -}}
{{- $variables := list (dict "name" "datasource" "type" "datasource" "query" "prometheus" "label" "Data source") -}}
{{- range .given.variables -}}
{{- $variables = append $variables (dict "name" .name "type" "query" "datasource" $source "refresh" 2 "sort" 1
      "includeAll" true "multi" true "query" (dict "query" .query "refId" .name) "definition" .query) -}}
{{- end -}}
{{- $panels := list -}}
{{- range $index, $panel := .given.panels -}}
{{- $targets := list -}}
{{- range $legend, $query := $panel.queries -}}
{{- $targets = append $targets (dict "refId" (printf "Q%d" (len $targets)) "datasource" $source "expr" $query
      "legendFormat" $legend "range" true) -}}
{{- end -}}
{{- $panels = append $panels (dict "id" (add1 $index) "type" "timeseries" "title" $panel.title "datasource" $source
      "gridPos" (dict "h" 8 "w" 12 "x" (mul 12 (mod $index 2)) "y" (mul 8 (div $index 2)))
      "fieldConfig" (dict "defaults" (dict "unit" $panel.unit "min" 0) "overrides" list) "targets" $targets) -}}
{{- end -}}
{{- dict "uid" (printf "voxfleet-%s" .name) "title" .given.title "tags" (list "voxfleet") "schemaVersion" 39
      "editable" true "refresh" "30s" "time" (dict "from" "now-6h" "to" "now") "panels" $panels
      "templating" (dict "list" $variables) | toJson -}}
{{- end }}
