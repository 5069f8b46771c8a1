{{/* What the schema cannot say: values that contradict each other, each with the key to change. */}}
{{- define "gem-bedside.validate" -}}
{{- $values := .Values -}}
{{- $owned := dict "SITE" "site" "KAFKA" "kafka.bootstrap" "TOPIC_PREFIX" "kafka.topicPrefix" "PARTITIONS" "kafka.partitions" "REPLICATION" "kafka.replication" "REDIS" "redis.url or redis.existingSecret" "MODEL" "weights.gem" "ENCODER" "weights.encoder" "DEVICE" "workers.<name>.gpu" "METRICS_PORT" "metrics.port" "METRICS_HOST" "metrics.port" "LOG_FORMAT" "logFormat" "STATION_HOST" "station.service" "STATION_PORT" "station.service" "STATION_HOSTS" "station.hosts" "STATION_AUTH" "station.auth.mode" "STATION_PROXIES" "station.auth.proxies" "STATION_USER_HEADER" "station.auth.userHeader" "STATION_GROUPS_HEADER" "station.auth.groupsHeader" "STATION_ROLES" "station.auth.roles" "STATION_TOKEN_KEYS_FILE" "station.auth.tokenKeysSecret" "EMBEDDED" "nothing: it is for the demo" "FOLD" "nothing: it is for evaluation" -}}
{{- range $name := list "PROTOCOL" "MECHANISM" "USERNAME" "PASSWORD_FILE" "CA_FILE" "CERT_FILE" "KEY_FILE" -}}
{{- $_ := set $owned (printf "KAFKA_%s" $name) "kafka.tls and kafka.sasl" -}}
{{- $_ := set $owned (printf "REDIS_%s" $name) "redis.tls and redis.auth" -}}
{{- end -}}
{{- $known := splitList "\n" (.Files.Get "files/settings.txt" | trim) -}}
{{- range $name, $_ := $values.settings -}}
{{- with get $owned $name }}{{ fail (printf "settings.%s: the chart makes this setting from %s" $name .) }}{{ end -}}
{{- if not (has $name $known) }}{{ fail (printf "settings.%s: there is no setting GEM_BEDSIDE_%s, see docs/settings.md" $name $name) }}{{ end -}}
{{- end -}}
{{- $environments := dict "extraEnv" $values.extraEnv "station.env" $values.station.env -}}
{{- range $component, $worker := $values.workers }}{{ $_ := set $environments (printf "workers.%s.env" $component) $worker.env }}{{ end -}}
{{- range $key, $variables := $environments -}}
{{- range $variables -}}
{{- if hasPrefix "GEM_BEDSIDE_" .name -}}
{{- $name := trimPrefix "GEM_BEDSIDE_" .name -}}
{{- with get $owned $name }}{{ fail (printf "%s: the chart makes GEM_BEDSIDE_%s from %s" $key $name .) }}{{ end -}}
{{- if not (has $name $known) }}{{ fail (printf "%s: there is no setting GEM_BEDSIDE_%s, see docs/settings.md" $key $name) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $partitions := int $values.kafka.partitions -}}
{{- range $component, $worker := $values.workers -}}
{{- $at := printf "workers.%s" $component -}}
{{- if gt (int $worker.replicas) $partitions }}{{ fail (printf "%s.replicas is %d, and kafka.partitions %d: more replicas than partitions are idle" $at (int $worker.replicas) $partitions) }}{{ end -}}
{{- $scaling := $worker.autoscaling -}}
{{- $ceiling := int $scaling.maxReplicas -}}
{{- if and $ceiling (gt (int $scaling.minReplicas) $ceiling) }}{{ fail (printf "%s.autoscaling.minReplicas is %d, above maxReplicas %d" $at (int $scaling.minReplicas) $ceiling) }}{{ end -}}
{{- if gt (max $ceiling (int $scaling.minReplicas)) $partitions }}{{ fail (printf "%s.autoscaling: minReplicas %d and maxReplicas %d must not pass kafka.partitions %d: more replicas are idle" $at (int $scaling.minReplicas) $ceiling $partitions) }}{{ end -}}
{{- if and $worker.gpu (eq $worker.variant "cpu") }}{{ fail (printf "%s.variant is cpu, and %s.gpu is %d: the cpu image cannot use a GPU" $at $at (int $worker.gpu)) }}{{ end -}}
{{- $variant := include "gem-bedside.variant" (dict "root" $ "component" $component "spec" $worker) -}}
{{- if and $values.image.digest (ne $variant "cpu") (not $worker.image.digest) (not $worker.image.tag) }}{{ fail (printf "image.digest names the cpu image, and the %s needs the %s image: set %s.image.digest" $component $variant $at) }}{{ end -}}
{{- end -}}
{{- if contains "@" $values.redis.url }}{{ fail "redis.url holds credentials, which would lie in the values: use redis.auth.existingSecret or redis.existingSecret" }}{{ end -}}
{{- if and $values.redis.existingSecret.name $values.redis.auth.existingSecret }}{{ fail "redis.existingSecret (the whole URL) and redis.auth.existingSecret (user and password): set one of them" }}{{ end -}}
{{- if and (or $values.redis.tls.caSecret $values.redis.tls.clientSecret) (not $values.redis.existingSecret.name) (not (hasPrefix "rediss://" $values.redis.url)) }}{{ fail "redis.tls is set, and redis.url does not begin with rediss://" }}{{ end -}}
{{- if and $values.kafka.sasl.mechanism (not $values.kafka.sasl.existingSecret) }}{{ fail "kafka.sasl.mechanism is set, and kafka.sasl.existingSecret is not" }}{{ end -}}
{{- if and $values.kafka.sasl.existingSecret (not $values.kafka.sasl.mechanism) }}{{ fail "kafka.sasl.existingSecret is set, and kafka.sasl.mechanism is not" }}{{ end -}}
{{- if and (or $values.kafka.tls.caSecret $values.kafka.tls.clientSecret) (not $values.kafka.tls.enabled) }}{{ fail "kafka.tls names secrets, and kafka.tls.enabled is false" }}{{ end -}}
{{- $weights := $values.weights -}}
{{- $sources := list -}}
{{- range $key, $value := dict "existingClaim" $weights.existingClaim "image.reference" $weights.image.reference "download.image" $weights.download.image -}}
{{- if $value }}{{ $sources = append $sources $key }}{{ end -}}
{{- end -}}
{{- if gt (len $sources) 1 }}{{ fail (printf "weights: %s are set; the weights have one source" (join " and " $sources)) }}{{ end -}}
{{- if and (or $weights.gem $weights.encoder) (not $sources) }}{{ fail "weights.gem or weights.encoder is set without a source: existingClaim, image.reference or download.image" }}{{ end -}}
{{- if and $sources (not (or $weights.gem $weights.encoder)) }}{{ fail (printf "weights.%s is set, and neither weights.gem nor weights.encoder says what is read" (first $sources)) }}{{ end -}}
{{- if and $weights.download.image (not $weights.sha256) }}{{ fail "weights.download needs weights.sha256: weights from a network are compared with their digests" }}{{ end -}}
{{- if and $weights.image.reference (semverCompare "<1.31.0-0" .Capabilities.KubeVersion.Version) }}{{ fail (printf "weights.image.reference needs image volumes (Kubernetes 1.31, with the feature gate before 1.35); this is %s" .Capabilities.KubeVersion.Version) }}{{ end -}}
{{- if and $values.metrics.podMonitor.enabled $values.metrics.serviceMonitor.enabled }}{{ fail "metrics.podMonitor and metrics.serviceMonitor: enable one, or each worker is scraped twice" }}{{ end -}}
{{- if and $values.station.enabled (eq $values.station.auth.mode "token") (not $values.station.auth.tokenKeysSecret) }}{{ fail "station.auth.mode is token, and station.auth.tokenKeysSecret is not set" }}{{ end -}}
{{- $lock := include "gem-bedside.siteLock" . -}}
{{- $other := lookup "v1" "ConfigMap" .Release.Namespace $lock -}}
{{- if $other -}}
{{- $owner := dig "metadata" "annotations" "meta.helm.sh/release-name" "" $other -}}
{{- if ne $owner .Release.Name }}{{ fail (printf "site %q with topics %q is run by the release %q of this namespace: both would share its consumer groups; set another site" $values.site $values.kafka.topicPrefix $owner) }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* Name of the object that only one release of a namespace can own for a site. */}}
{{- define "gem-bedside.siteLock" -}}
{{- printf "gem-bedside-site-%s" (printf "%s|%s" .Values.kafka.topicPrefix .Values.site | sha256sum | trunc 12) -}}
{{- end -}}
