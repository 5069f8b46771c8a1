{{- define "gem-bedside.name" -}}
{{- .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "gem-bedside.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}{{ .Release.Name | trunc 45 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 45 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{- define "gem-bedside.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}{{ .Values.serviceAccount.name | default (include "gem-bedside.fullname" .) }}
{{- else -}}{{ .Values.serviceAccount.name | default "default" }}{{- end -}}
{{- end -}}

{{- define "gem-bedside.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/name: {{ include "gem-bedside.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels that select one component's pods: dict "root" $ "component" "monitor" */}}
{{- define "gem-bedside.selector" -}}
app.kubernetes.io/name: {{ include "gem-bedside.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of one component's pods: dict "root" $ "component" c "spec" its values */}}
{{- define "gem-bedside.podLabels" -}}
{{ include "gem-bedside.selector" . }}
{{- with merge (dict) (.spec.podLabels | default dict) .root.Values.podLabels .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* cpu, gpu or gem: dict "root" $ "component" c "spec" its values */}}
{{- define "gem-bedside.variant" -}}
{{- if .spec.variant -}}{{ .spec.variant }}
{{- else if and .spec.gpu (eq .component "interpreter") .root.Values.weights.gem -}}gem
{{- else if .spec.gpu -}}gpu
{{- else if and (eq .component "interpreter") .root.Values.weights.gem -}}gem
{{- else -}}cpu{{- end -}}
{{- end -}}

{{/* Image of a component: dict "root" $ "component" c "spec" its values */}}
{{- define "gem-bedside.image" -}}
{{- $own := .spec.image | default dict -}}
{{- $all := .root.Values.image -}}
{{- $variant := include "gem-bedside.variant" . -}}
{{- $registry := $own.registry | default .root.Values.global.imageRegistry | default $all.registry -}}
{{- $repository := $own.repository | default $all.repository -}}
{{- if $registry }}{{ $repository = printf "%s/%s" $registry $repository }}{{ end -}}
{{- $digest := $own.digest -}}
{{- if and (not $digest) (not $own.tag) (not $own.repository) (eq $variant "cpu") }}{{ $digest = $all.digest }}{{ end -}}
{{- $suffix := ternary "" (printf "-%s" $variant) (eq $variant "cpu") -}}
{{- if $digest -}}{{ printf "%s@%s" $repository $digest }}
{{- else -}}{{ printf "%s:%s" $repository ($own.tag | default (printf "%s%s" ($all.tag | default .root.Chart.AppVersion) $suffix)) }}{{- end -}}
{{- end -}}

{{- define "gem-bedside.pullPolicy" -}}
{{- dig "pullPolicy" "" (.spec.image | default dict) | default .root.Values.image.pullPolicy -}}
{{- end -}}

{{- define "gem-bedside.pullSecrets" -}}
{{- $secrets := .Values.imagePullSecrets -}}
{{- range .Values.global.imagePullSecrets }}{{ $secrets = append $secrets (dict "name" .) }}{{ end -}}
{{- with $secrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where the pods of a component may run: dict "root" $ "component" c "spec" its values */}}
{{- define "gem-bedside.scheduling" -}}
{{- with .spec.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .spec.priorityClassName | default .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with merge (dict) (.spec.nodeSelector | default dict) .root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- $tolerations := concat .root.Values.tolerations (.spec.tolerations | default list) -}}
{{- if .spec.gpu }}{{ $tolerations = append $tolerations (dict "key" .spec.gpuResource "operator" "Exists" "effect" "NoSchedule") }}{{ end -}}
{{- with $tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .spec.affinity | default .root.Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .spec.topologySpreadConstraints }}
topologySpreadConstraints: {{- toYaml .spec.topologySpreadConstraints | nindent 2 }}
{{- else if .spec.replicas }}
topologySpreadConstraints:
  {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "gem-bedside.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Runs in a namespace with Pod Security "restricted". */}}
{{- define "gem-bedside.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
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

{{/* Settings without a secret, as a map of strings; the pods carry their checksum, so that a change rolls them. */}}
{{- define "gem-bedside.settings" -}}
GEM_BEDSIDE_SITE: {{ .Values.site | quote }}
GEM_BEDSIDE_KAFKA: {{ .Values.kafka.bootstrap | quote }}
GEM_BEDSIDE_TOPIC_PREFIX: {{ .Values.kafka.topicPrefix | quote }}
GEM_BEDSIDE_PARTITIONS: {{ .Values.kafka.partitions | quote }}
GEM_BEDSIDE_REPLICATION: {{ .Values.kafka.replication | quote }}
GEM_BEDSIDE_METRICS_PORT: {{ .Values.metrics.port | quote }}
GEM_BEDSIDE_METRICS_HOST: "0.0.0.0"
GEM_BEDSIDE_LOG_FORMAT: {{ .Values.logFormat | quote }}
{{- range $name, $value := .Values.settings }}
GEM_BEDSIDE_{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end -}}

{{/* Components that talk to Kafka, and to Redis. */}}
{{- define "gem-bedside.ofKafka" -}}monitor interpreter publisher topics test{{- end -}}
{{- define "gem-bedside.ofRedis" -}}publisher station test{{- end -}}

{{/* Environment of a container beside the ConfigMap: dict "root" $ "component" c "spec" its values */}}
{{- define "gem-bedside.env" -}}
{{- $values := .root.Values -}}
{{- $kafka := $values.kafka -}}
{{- $redis := $values.redis -}}
{{- if has .component (splitList " " (include "gem-bedside.ofKafka" .)) }}
{{- if or $kafka.tls.enabled $kafka.sasl.mechanism }}
- name: GEM_BEDSIDE_KAFKA_PROTOCOL
  value: {{ printf "%s%s" (ternary "SASL_" "" (ne $kafka.sasl.mechanism "")) (ternary (ternary "SSL" "PLAINTEXT" $kafka.tls.enabled) "SSL" (ne $kafka.sasl.mechanism "")) }}
{{- end }}
{{- if $kafka.sasl.mechanism }}
- name: GEM_BEDSIDE_KAFKA_MECHANISM
  value: {{ $kafka.sasl.mechanism }}
- name: GEM_BEDSIDE_KAFKA_USERNAME
  valueFrom:
    secretKeyRef: {name: {{ $kafka.sasl.existingSecret }}, key: {{ $kafka.sasl.usernameKey }}}
- name: GEM_BEDSIDE_KAFKA_PASSWORD_FILE
  value: /etc/gem-bedside/kafka/password
{{- end }}
{{- if and $kafka.tls.enabled $kafka.tls.caSecret }}
- name: GEM_BEDSIDE_KAFKA_CA_FILE
  value: /etc/gem-bedside/kafka-ca/ca.crt
{{- end }}
{{- if and $kafka.tls.enabled $kafka.tls.clientSecret }}
- name: GEM_BEDSIDE_KAFKA_CERT_FILE
  value: /etc/gem-bedside/kafka-client/tls.crt
- name: GEM_BEDSIDE_KAFKA_KEY_FILE
  value: /etc/gem-bedside/kafka-client/tls.key
{{- end }}
{{- end }}
{{- if has .component (splitList " " (include "gem-bedside.ofRedis" .)) }}
- name: GEM_BEDSIDE_REDIS
{{- if $redis.existingSecret.name }}
  valueFrom:
    secretKeyRef: {name: {{ $redis.existingSecret.name }}, key: {{ $redis.existingSecret.key }}}
{{- else }}
  value: {{ $redis.url | quote }}
{{- end }}
{{- if $redis.auth.existingSecret }}
{{- with $redis.auth.usernameKey }}
- name: GEM_BEDSIDE_REDIS_USERNAME
  valueFrom:
    secretKeyRef: {name: {{ $redis.auth.existingSecret }}, key: {{ . }}}
{{- end }}
- name: GEM_BEDSIDE_REDIS_PASSWORD_FILE
  value: /etc/gem-bedside/redis/password
{{- end }}
{{- if $redis.tls.caSecret }}
- name: GEM_BEDSIDE_REDIS_CA_FILE
  value: /etc/gem-bedside/redis-ca/ca.crt
{{- end }}
{{- if $redis.tls.clientSecret }}
- name: GEM_BEDSIDE_REDIS_CERT_FILE
  value: /etc/gem-bedside/redis-client/tls.crt
- name: GEM_BEDSIDE_REDIS_KEY_FILE
  value: /etc/gem-bedside/redis-client/tls.key
{{- end }}
{{- end }}
{{- if .spec.gpu }}
- name: GEM_BEDSIDE_DEVICE  # a pod that was given a GPU and cannot use it fails, in place of running on the CPU
  value: cuda
{{- end }}
{{- if and (eq .component "interpreter") $values.weights.gem }}
- name: GEM_BEDSIDE_MODEL
  value: {{ printf "/models/%s" $values.weights.gem }}
{{- end }}
{{- if and (has .component (list "monitor" "interpreter")) $values.weights.encoder }}
- name: GEM_BEDSIDE_ENCODER
  value: {{ printf "/models/%s" $values.weights.encoder }}
{{- end }}
{{- with concat $values.extraEnv (.spec.env | default list) }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* "true" for a component that reads folders of /models */}}
{{- define "gem-bedside.needsWeights" -}}
{{- $weights := .root.Values.weights -}}
{{- if or (and (eq .component "interpreter") (or $weights.gem $weights.encoder)) (and (eq .component "monitor") $weights.encoder) }}true{{ end -}}
{{- end -}}

{{- define "gem-bedside.mounts" -}}
{{- $values := .root.Values -}}
- {name: scratch, mountPath: /tmp}
{{- if has .component (splitList " " (include "gem-bedside.ofKafka" .)) }}
{{- if $values.kafka.sasl.mechanism }}
- {name: kafka, mountPath: /etc/gem-bedside/kafka, readOnly: true}
{{- end }}
{{- if and $values.kafka.tls.enabled $values.kafka.tls.caSecret }}
- {name: kafka-ca, mountPath: /etc/gem-bedside/kafka-ca, readOnly: true}
{{- end }}
{{- if and $values.kafka.tls.enabled $values.kafka.tls.clientSecret }}
- {name: kafka-client, mountPath: /etc/gem-bedside/kafka-client, readOnly: true}
{{- end }}
{{- end }}
{{- if has .component (splitList " " (include "gem-bedside.ofRedis" .)) }}
{{- if $values.redis.auth.existingSecret }}
- {name: redis, mountPath: /etc/gem-bedside/redis, readOnly: true}
{{- end }}
{{- if $values.redis.tls.caSecret }}
- {name: redis-ca, mountPath: /etc/gem-bedside/redis-ca, readOnly: true}
{{- end }}
{{- if $values.redis.tls.clientSecret }}
- {name: redis-client, mountPath: /etc/gem-bedside/redis-client, readOnly: true}
{{- end }}
{{- end }}
{{- if include "gem-bedside.needsWeights" . }}
- {name: weights, mountPath: /models, readOnly: true}
{{- end }}
{{- with concat $values.extraVolumeMounts (.spec.extraVolumeMounts | default list) }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "gem-bedside.volumes" -}}
{{- $values := .root.Values -}}
{{- $kafka := $values.kafka -}}
{{- $redis := $values.redis -}}
- name: scratch
  emptyDir: {}
{{- if has .component (splitList " " (include "gem-bedside.ofKafka" .)) }}
{{- if $kafka.sasl.mechanism }}
- name: kafka
  secret: {secretName: {{ $kafka.sasl.existingSecret }}, defaultMode: 0440, items: [{key: {{ $kafka.sasl.passwordKey }}, path: password}]}
{{- end }}
{{- if and $kafka.tls.enabled $kafka.tls.caSecret }}
- name: kafka-ca
  secret: {secretName: {{ $kafka.tls.caSecret }}, defaultMode: 0440, items: [{key: {{ $kafka.tls.caKey }}, path: ca.crt}]}
{{- end }}
{{- if and $kafka.tls.enabled $kafka.tls.clientSecret }}
- name: kafka-client
  secret: {secretName: {{ $kafka.tls.clientSecret }}, defaultMode: 0440}
{{- end }}
{{- end }}
{{- if has .component (splitList " " (include "gem-bedside.ofRedis" .)) }}
{{- if $redis.auth.existingSecret }}
- name: redis
  secret: {secretName: {{ $redis.auth.existingSecret }}, defaultMode: 0440, items: [{key: {{ $redis.auth.passwordKey }}, path: password}]}
{{- end }}
{{- if $redis.tls.caSecret }}
- name: redis-ca
  secret: {secretName: {{ $redis.tls.caSecret }}, defaultMode: 0440, items: [{key: {{ $redis.tls.caKey }}, path: ca.crt}]}
{{- end }}
{{- if $redis.tls.clientSecret }}
- name: redis-client
  secret: {secretName: {{ $redis.tls.clientSecret }}, defaultMode: 0440}
{{- end }}
{{- end }}
{{- if include "gem-bedside.needsWeights" . }}
- name: weights
  {{- if $values.weights.existingClaim }}
  persistentVolumeClaim: {claimName: {{ $values.weights.existingClaim }}, readOnly: true}
  {{- else if $values.weights.image.reference }}
  image: {reference: {{ $values.weights.image.reference | quote }}, pullPolicy: {{ $values.weights.image.pullPolicy }}}
  {{- else }}
  emptyDir: {sizeLimit: {{ $values.weights.download.sizeLimit }}}
  {{- end }}
{{- if $values.weights.sha256 }}
- name: digests
  configMap: {name: {{ include "gem-bedside.fullname" .root }}-weights}
{{- end }}
{{- end }}
{{- with concat $values.extraVolumes (.spec.extraVolumes | default list) }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Init containers that bring the weights and compare their digests: dict "root" $ "component" c "spec" its values */}}
{{- define "gem-bedside.initContainers" -}}
{{- $weights := .root.Values.weights -}}
{{- if and (include "gem-bedside.needsWeights" .) (or $weights.download.image $weights.sha256) }}
initContainers:
  {{- if $weights.download.image }}
  - name: download
    image: {{ $weights.download.image | quote }}
    command: {{- toYaml $weights.download.command | nindent 6 }}
    resources: {requests: {cpu: 100m, memory: 256Mi}, limits: {memory: 1Gi}}
    terminationMessagePolicy: FallbackToLogsOnError
    securityContext: {{- include "gem-bedside.containerSecurity" . | nindent 6 }}
    volumeMounts:
      - {name: weights, mountPath: /models}
      - {name: scratch, mountPath: /tmp}
  {{- end }}
  {{- if $weights.sha256 }}
  - name: digests
    image: {{ include "gem-bedside.image" . | quote }}
    imagePullPolicy: {{ include "gem-bedside.pullPolicy" . }}
    command: [sha256sum, --check, --strict, --quiet, /etc/gem-bedside/digests/SHA256SUMS]
    resources: {requests: {cpu: 500m, memory: 64Mi}, limits: {memory: 256Mi}}
    terminationMessagePolicy: FallbackToLogsOnError
    securityContext: {{- include "gem-bedside.containerSecurity" . | nindent 6 }}
    volumeMounts:
      - {name: weights, mountPath: /models, readOnly: true}
      - {name: digests, mountPath: /etc/gem-bedside/digests, readOnly: true}
  {{- end }}
{{- end }}
{{- end -}}
