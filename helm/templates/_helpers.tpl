{{/* Names, labels, image and configuration. Short names leave room for the suffixes of pods. */}}

{{- define "rettidig.fullname" -}}
{{- $name := .Release.Name -}}
{{- if not (contains .Chart.Name $name) }}{{ $name = printf "%s-%s" $name .Chart.Name }}{{ end -}}
{{- $name | trunc 30 | trimSuffix "-" -}}
{{- end }}

{{- define "rettidig.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "rettidig.labels" -}}
{{ include "rettidig.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "rettidig.image" -}}
{{- $image := .Values.image -}}
{{- $repository := required "image.repository: say where the image of the Dockerfile was pushed to" $image.repository -}}
{{- if $image.digest -}}
{{ $repository }}@{{ $image.digest }}
{{- else -}}
{{ $repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "rettidig.port" -}}9464{{- end }}
{{- define "rettidig.sqlPort" -}}5432{{- end }}

{{/* How the web processes are spoken to; the others speak plain HTTP. */}}
{{- define "rettidig.webScheme" -}}
{{- ternary "https" "http" (ne .Values.web.tls.existingSecret "") -}}
{{- end }}

{{- define "rettidig.dataClaim" -}}
{{- .Values.data.existingClaim | default (printf "%s-data" (include "rettidig.fullname" .)) -}}
{{- end }}

{{- define "rettidig.pushes" -}}
{{- if dig "push" "enabled" false .Values.config }}yes{{ end -}}
{{- end }}

{{/* What a part of the work is called: as a value, as --role, as a user of Kafka; `web` is none. */}}
{{- define "rettidig.roles" -}}
connectors: {role: connectors, principal: connector}
workers: {role: worker, principal: worker}
committers: {role: committer, principal: committer}
web: {role: web}
{{- end }}

{{- define "rettidig.principal" -}}
{{- (index (include "rettidig.roles" . | fromYaml) .values).principal -}}
{{- end }}

{{/* Name of a user of Kafka as Strimzi has it, which is also the name of its Secret. */}}
{{- define "rettidig.kafkaUser" -}}
{{ include "rettidig.fullname" .root }}-{{ .principal }}
{{- end }}

{{- define "rettidig.strimziCluster" -}}
{{ required "strimzi.cluster: name the Kafka resource that topics and users belong to" .Values.strimzi.cluster }}
{{- end }}

{{/* Secrets that a part of the work sees, each once. */}}
{{- define "rettidig.secrets" -}}
{{- $secrets := list -}}
{{- if eq .values "web" -}}
{{- $secrets = compact (list .root.Values.web.tokensSecret .root.Values.web.tls.existingSecret) -}}
{{- else -}}
{{- $secrets = concat .root.Values.secrets (index .root.Values .values).secrets -}}
{{- if .root.Values.strimzi.users.enabled -}}
{{- $user := include "rettidig.kafkaUser" (dict "root" .root "principal" (include "rettidig.principal" .)) -}}
{{- $secrets = concat $secrets (list $user (printf "%s-cluster-ca-cert" (include "rettidig.strimziCluster" .root))) -}}
{{- end -}}
{{- end -}}
{{- dict "names" (uniq $secrets) | toYaml -}}
{{- end }}

{{/* How a user that Strimzi made reaches Kafka. */}}
{{- define "rettidig.strimziKafka" -}}
{{- $user := include "rettidig.kafkaUser" (dict "root" .root "principal" (include "rettidig.principal" .)) -}}
{{- $folder := "/etc/rettidig/secrets" -}}
settings:
  ssl.ca.location: {{ $folder }}/{{ include "rettidig.strimziCluster" .root }}-cluster-ca-cert/ca.crt
{{- if eq .root.Values.strimzi.users.authentication "tls" }}
  security.protocol: ssl
  ssl.certificate.location: {{ $folder }}/{{ $user }}/user.crt
  ssl.key.location: {{ $folder }}/{{ $user }}/user.key
{{- else }}
  security.protocol: sasl_ssl
  sasl.mechanism: SCRAM-SHA-512
  sasl.username: {{ $user }}
password_file: {{ $folder }}/{{ $user }}/password
{{- end }}
{{- end }}

{{/*
The configuration of one part of the work. Workers, committers and web are told of no source: they would look for its
token and for the key of the pseudonyms, which they must not see. Web is not told of Kafka either.
*/}}
{{- define "rettidig.config" -}}
{{- $config := deepCopy .root.Values.config -}}
{{- if ne .values "connectors" -}}
{{- $off := dict "enabled" false -}}
{{- $config = dict "kafka" $config.kafka "connectors" (dict "jobindsats" $off "statbank" $off) -}}
{{- end -}}
{{- if eq .values "web" -}}
{{- $config = mergeOverwrite (omit $config "kafka") (include "rettidig.webConfig" .root | fromYaml) -}}
{{- else -}}
{{- $kafka := dict -}}
{{- if .root.Values.strimzi.users.enabled }}{{ $kafka = include "rettidig.strimziKafka" . | fromYaml }}{{ end -}}
{{- $kafka = mergeOverwrite $kafka $config.kafka (deepCopy (index .root.Values .values).kafka) -}}
{{- $_ := required "config.kafka.brokers: name the brokers, host:port" $kafka.brokers -}}
{{- $_ := set $config "kafka" $kafka -}}
{{- end -}}
{{- $_ := set $config "data" "/data" -}}
{{- $_ := set $config "listen" (printf "0.0.0.0:%s" (include "rettidig.port" .root)) -}}
{{- toYaml $config -}}
{{- end }}

{{/* Who publishes, who may read what, how fast, and over what. */}}
{{- define "rettidig.webConfig" -}}
{{- $web := .Values.web -}}
{{- $folder := "/etc/rettidig/secrets" -}}
access:
  {{- with $web.tokensSecret }}
  tokens_file: {{ $folder }}/{{ . }}/tokens.yaml
  {{- end }}
  requests_per_minute: {{ toJson $web.requestsPerMinute }}
{{- with $web.publisher }}
publisher:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $web.tls.existingSecret }}
tls:
  certificate_file: {{ $folder }}/{{ . }}/tls.crt
  key_file: {{ $folder }}/{{ . }}/tls.key
{{- end }}
{{- if $web.sql.enabled }}
sql:
  listen: 0.0.0.0:{{ include "rettidig.sqlPort" . }}
{{- end }}
{{- end }}
