{{/* What all pods have in common: nobody is root, nothing is written but to volumes, no token of the cluster is there. */}}

{{- define "rettidig.podSettings" -}}
serviceAccountName: {{ include "rettidig.fullname" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .root.Values.pods.user }}
  runAsGroup: {{ .root.Values.pods.group }}
  fsGroup: {{ .root.Values.pods.group }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.pods.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.pods.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.pods.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if .spread }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "rettidig.selector" . | nindent 8 }}
{{- end }}
{{- end }}

{{- define "rettidig.podMetadata" -}}
labels:
  {{- with .root.Values.pods.labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- include "rettidig.labels" . | nindent 2 }}
  {{- if .values }}
  rettidig/metrics: "true"
  {{- if ne .values "web" }}
  rettidig/kafka: "true"
  {{- end }}
  {{- end }}
annotations:
  {{- with .root.Values.pods.annotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  kubectl.kubernetes.io/default-container: rettidig
  {{- with .checksum }}
  checksum/config: {{ . }}
  {{- end }}
{{- end }}

{{- define "rettidig.containerSettings" -}}
image: {{ include "rettidig.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  privileged: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities: {drop: [ALL]}
  seccompProfile: {type: RuntimeDefault}
resources:
  {{- toYaml .resources | nindent 2 }}
env:
  {{- with .root.Values.pods.log }}
  - name: RETTIDIG_LOG
    value: {{ . | quote }}
  {{- end }}
  {{- with .field }}
  - name: {{ .name }}
    valueFrom:
      fieldRef: {fieldPath: {{ .path }}}
  {{- end }}
{{- end }}

{{/*
The pod of a part of the work. Liveness asks whether the process answers, never whether Kafka does: an outage of the
broker must not restart anything. A worker and a committer are ready when they have their place in their group, be it to wait, web
when it shows an epoch, connectors when they run; what has been reached once is not taken back.
*/}}
{{- define "rettidig.pod" -}}
{{- $role := (index (include "rettidig.roles" . | fromYaml) .values).role -}}
{{- $of := index .root.Values .values -}}
{{- $secrets := (include "rettidig.secrets" . | fromYaml).names -}}
{{- $isWeb := eq $role "web" -}}
{{- $probe := dict "port" "http" -}}
{{- if and $isWeb (eq (include "rettidig.webScheme" .root) "https") }}{{ $_ := set $probe "scheme" "HTTPS" }}{{ end -}}
{{- $alive := merge (dict "path" "/healthz") $probe -}}
{{- $ready := merge (dict "path" "/readyz") $probe -}}
metadata:
  {{- include "rettidig.podMetadata" (merge (dict "component" $role "checksum" (printf "%s%s" (include "rettidig.config" .) (toYaml $of.files) | sha256sum)) .) | nindent 2 }}
spec:
  {{- include "rettidig.podSettings" (merge (dict "component" $role) .) | nindent 2 }}
  containers:
    - name: rettidig
      args:
        - run
        - --config
        - /etc/rettidig/config/config.yaml
        - --role
        - {{ $role }}
        {{- if eq $role "worker" }}
        - --instance
        - $(POD_NAME)
        {{- end }}
      {{- $settings := dict "root" .root "resources" $of.resources -}}
      {{- if eq $role "worker" }}{{ $_ := set $settings "field" (dict "name" "POD_NAME" "path" "metadata.name") }}{{ end }}
      {{- include "rettidig.containerSettings" $settings | nindent 6 }}
      ports:
        - name: http
          containerPort: {{ include "rettidig.port" .root }}
        {{- if and $isWeb $of.sql.enabled }}
        - name: sql
          containerPort: {{ include "rettidig.sqlPort" .root }}
        {{- end }}
      startupProbe:
        httpGet: {{ toJson $alive }}
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {{ toJson $alive }}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {{ toJson $ready }}
        periodSeconds: 5
        timeoutSeconds: 5
      volumeMounts:
        - name: data
          mountPath: /data
        - name: config
          mountPath: /etc/rettidig/config
          readOnly: true
        - name: tmp
          mountPath: /tmp
        {{- range $secrets }}
        - name: {{ include "rettidig.secretVolume" . }}
          mountPath: /etc/rettidig/secrets/{{ . }}
          readOnly: true
        {{- end }}
        {{- range $index, $folder := $of.folders }}
        - name: folder-{{ $index }}
          mountPath: {{ $folder.path }}
          readOnly: true
        {{- end }}
  volumes:
    {{- if ne $role "connectors" }}
    - name: data
      persistentVolumeClaim: {claimName: {{ include "rettidig.dataClaim" .root }}}
    {{- end }}
    - name: config
      projected:
        defaultMode: 0440
        sources:
          - configMap:
              name: {{ include "rettidig.fullname" .root }}-{{ .values }}
          {{- with $of.configSecret }}
          - secret:
              name: {{ . }}
              items: [{key: config.yaml, path: config.yaml}]
          {{- end }}
    - name: tmp
      emptyDir: {sizeLimit: 1Gi}
    {{- range $secrets }}
    - name: {{ include "rettidig.secretVolume" . }}
      secret: {secretName: {{ . }}, defaultMode: 0440}
    {{- end }}
    {{- range $index, $folder := $of.folders }}
    - name: folder-{{ $index }}
      persistentVolumeClaim: {claimName: {{ $folder.claim }}, readOnly: true}
    {{- end }}
{{- end }}

{{/* Names of Secrets may hold dots and be long; those of volumes may not. */}}
{{- define "rettidig.secretVolume" -}}
secret-{{ . | replace "." "-" | trunc 40 | trimSuffix "-" }}-{{ . | sha256sum | trunc 8 }}
{{- end }}
