{{- define "gem-bedside.name" -}}
{{- .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "gem-bedside.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{- define "gem-bedside.image" -}}
{{- $repository := ternary .Values.image.repository (printf "%s/%s" .Values.image.registry .Values.image.repository) (empty .Values.image.registry) -}}
{{- if .Values.image.digest -}}{{ printf "%s@%s" $repository .Values.image.digest }}
{{- else -}}{{ printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) }}{{- end -}}
{{- end -}}

{{- define "gem-bedside.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/name: {{ include "gem-bedside.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* Labels that select one component's pods: dict "root" $ "component" "monitor" */}}
{{- define "gem-bedside.selector" -}}
app.kubernetes.io/name: {{ include "gem-bedside.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* What every container has: settings, and the Redis URL from its secret. */}}
{{- define "gem-bedside.env" -}}
envFrom:
  - configMapRef:
      name: {{ include "gem-bedside.fullname" . }}
{{- with .Values.redis.existingSecret }}
{{- if .name }}
env:
  - name: GEM_BEDSIDE_REDIS
    valueFrom:
      secretKeyRef:
        name: {{ .name }}
        key: {{ .key }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Runs in a namespace with Pod Security "restricted". */}}
{{- define "gem-bedside.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}
{{- define "gem-bedside.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* All settings, as a map of strings; the deployments carry their checksum, so that a change rolls the pods. */}}
{{- define "gem-bedside.settings" -}}
GEM_BEDSIDE_SITE: {{ .Values.site | quote }}
GEM_BEDSIDE_KAFKA: {{ .Values.kafka.bootstrap | quote }}
GEM_BEDSIDE_TOPIC_PREFIX: {{ .Values.kafka.topicPrefix | quote }}
GEM_BEDSIDE_PARTITIONS: {{ .Values.kafka.partitions | quote }}
GEM_BEDSIDE_REPLICATION: {{ .Values.kafka.replication | quote }}
{{- if not .Values.redis.existingSecret.name }}
GEM_BEDSIDE_REDIS: {{ .Values.redis.url | quote }}
{{- end }}
{{- if .Values.weights.gem }}
GEM_BEDSIDE_MODEL: {{ printf "/models/%s" .Values.weights.gem | quote }}
{{- end }}
{{- if .Values.weights.encoder }}
GEM_BEDSIDE_ENCODER: {{ printf "/models/%s" .Values.weights.encoder | quote }}
{{- end }}
GEM_BEDSIDE_METRICS_PORT: {{ .Values.metrics.port | quote }}
GEM_BEDSIDE_METRICS_HOST: "0.0.0.0"
GEM_BEDSIDE_STATION_HOST: "0.0.0.0"
GEM_BEDSIDE_STATION_PORT: "8080"
{{- range $name, $value := .Values.settings }}
GEM_BEDSIDE_{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end -}}
