{{/* Labels of every object. */}}
{{- define "harkara.labels" -}}
app.kubernetes.io/name: harkara
app.kubernetes.io/part-of: harkara
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Labels of pods: those by which they are selected, and no version, which would replace all of them. */}}
{{- define "harkara.podLabels" -}}
app.kubernetes.io/name: harkara
app.kubernetes.io/part-of: harkara
{{- end }}

{{- define "harkara.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "harkara.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "harkara.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* What every container of a pod begins with. */}}
{{- define "harkara.container" -}}
image: {{ include "harkara.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- include "harkara.containerSecurity" . | nindent 2 }}
{{- end }}

{{/* What every pod begins with. */}}
{{- define "harkara.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "harkara.podSecurity" . | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Over zones and nodes, as far as there are some. Takes the name of the component. */}}
{{- define "harkara.spread" -}}
{{- $component := . -}}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- topologyKey: {{ . }}
  maxSkew: 1
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      app.kubernetes.io/name: harkara
      app.kubernetes.io/component: {{ $component }}
  matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end }}

{{/* Until the Job has brought the schema up to date. Takes the root and further arguments. */}}
{{- define "harkara.waitForSchema" -}}
- name: wait-for-schema
  {{- include "harkara.container" (index . 0) | nindent 2 }}
  command: {{ concat (list "harkara" "migrate" "--wait") (rest .) (list "--timeout" "10m") | toJson }}
  env:
    - name: HARKARA__POSTGRES__URL_FILE
      value: /run/secrets/stores/postgres-url
  resources:
    requests:
      cpu: 10m
      memory: 32Mi
    limits:
      memory: 64Mi
  volumeMounts:
    - name: stores
      mountPath: /run/secrets/stores
      readOnly: true
{{- end }}

{{/* A probe of the admin port. Takes the path, period and failures. */}}
{{- define "harkara.probe" -}}
httpGet:
  path: {{ index . 0 }}
  port: admin
periodSeconds: {{ index . 1 }}
timeoutSeconds: 3
failureThreshold: {{ index . 2 }}
{{- end }}

{{/* Ports of a NetworkPolicy. Takes a list of numbers. */}}
{{- define "harkara.tcp" -}}
{{- range . }}
- protocol: TCP
  port: {{ int . }}
{{- end }}
{{- end }}

{{/* The pod that brings the schema up to date. Takes the root and the name of the service account. */}}
{{- define "harkara.migratePod" -}}
{{- $account := index . 1 -}}
{{- with index . 0 -}}
metadata:
  labels:
    {{- include "harkara.podLabels" . | nindent 4 }}
    app.kubernetes.io/component: migrate
spec:
  serviceAccountName: {{ $account }}
  {{- include "harkara.pod" . | nindent 2 }}
  restartPolicy: OnFailure
  containers:
    - name: migrate
      {{- include "harkara.container" . | nindent 6 }}
      command: [harkara, migrate]
      env:
        - name: HARKARA__POSTGRES__URL_FILE
          value: /run/secrets/stores/postgres-url
      resources:
        {{- toYaml .Values.migrate.resources | nindent 8 }}
      volumeMounts:
        - name: stores
          mountPath: /run/secrets/stores
          readOnly: true
  volumes:
    - name: stores
      secret:
        secretName: {{ .Values.secrets.migrate }}
        defaultMode: 292 # 0444
{{- end }}
{{- end }}
