{{/* "stele" when the release is called so, else "<release>-stele". */}}
{{- define "stele.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "stele.operator" -}}{{ include "stele.fullname" . }}-operator{{- end -}}

{{- define "stele.selector" -}}
app.kubernetes.io/name: stele
app.kubernetes.io/component: operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "stele.labels" -}}
{{ include "stele.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* A tag of digits is a number to Helm. */}}
{{- define "stele.image" -}}
{{- $tag := .Values.image.tag -}}
{{- if kindIs "float64" $tag }}{{ $tag = int64 $tag }}{{ end -}}
{{- .Values.image.repository }}:{{ $tag | toString | default .Chart.AppVersion }}
{{- end -}}

{{- define "stele.account" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "stele.operator" .) .Values.serviceAccount.name }}
{{- else -}}
{{ required "serviceAccount.name: name the account that is there, or set serviceAccount.create to true" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{/*
What makes a resource of Stele part of the release. The first time, its definition is not there yet when Helm looks through the
release, so it is made by a hook afterwards; from then on it is an object of the release like others, which it already says it is.
*/}}
{{- define "stele.owned" -}}
{{- if not (.Capabilities.APIVersions.Has "stele.dev/v1alpha1/LogCluster") }}
helm.sh/hook: post-install,post-upgrade
helm.sh/hook-weight: "10"
meta.helm.sh/release-name: {{ .Release.Name }}
meta.helm.sh/release-namespace: {{ .Release.Namespace }}
{{- end }}
helm.sh/resource-policy: keep
{{- end -}}
