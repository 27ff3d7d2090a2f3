{{/* voxfleet.dnsZone: the engine's zone file; the registry has the models. */}}
{{- define "voxfleet.dnsZone" -}}
{{- $dns := .Values.dns -}}
{{- if not $dns.zone -}}
{{- fail "dns.zone is empty: set the delegated zone, for example tts.example.com, or dns.enabled=false" -}}
{{- end -}}
{{- if not $dns.nameServers -}}
{{- fail "dns.nameServers is empty: list the name servers of the delegation, for example [{name: ns1.tts.example.com, addresses: [192.0.2.53]}]" -}}
{{- end -}}
{{- $zone := dict "zone" $dns.zone "nameServers" $dns.nameServers "hostmaster" $dns.hostmaster
      "ttl" (int64 $dns.ttl) "serial" (int64 $dns.serial) "defaultRegion" $dns.defaultRegion "alpn" $dns.alpn
      "regions" $dns.regions -}}
{{- toYaml $zone -}}
{{- end }}

{{/* voxfleet.dnsConfiguration: PowerDNS's settings, which the tests run too, with this pod's port and socket. */}}
{{- define "voxfleet.dnsConfiguration" -}}
{{ .Files.Get "files/dns/pdns.conf" }}
remote-connection-string=unix:path=/run/voxfleet-dns/backend.sock,timeout=2000
local-address=0.0.0.0,::
local-port=5353
socket-dir=/run/voxfleet-dns
{{- end }}
