//! Objects of kinds that are not Kubernetes' own: the fields that the product uses, as the documentation of what serves
//! each kind has them. Any other field is refused, even one that exists.

#![expect(
    dead_code,
    reason = "what counts is that an object can be read, not what is in it"
)]

use std::collections::BTreeMap;

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use super::objects::id;

/// The kinds that are known here.
pub(super) const KINDS: [&str; 4] = ["HTTPRoute", "PodMonitor", "PrometheusRule", "ScaledObject"];

/// Whether an object is as its kind has it. Objects of Kubernetes itself always are.
pub(super) fn check(object: &Value) -> Result<(), String> {
    let kind = object["kind"].as_str().unwrap_or_default();
    match kind {
        "HTTPRoute" => read::<HttpRoute>(object, "gateway.networking.k8s.io/v1"),
        "PodMonitor" => read::<PodMonitor>(object, "monitoring.coreos.com/v1"),
        "PrometheusRule" => read::<PrometheusRule>(object, "monitoring.coreos.com/v1"),
        "ScaledObject" => read::<ScaledObject>(object, "keda.sh/v1alpha1"),
        _ => Ok(()),
    }
}

fn read<S: serde::de::DeserializeOwned>(object: &Value, version: &str) -> Result<(), String> {
    let read: Object<S> = serde_json::from_value(object.clone())
        .map_err(|error| format!("{}: {error}", id(object)))?;
    if read.api_version == version {
        Ok(())
    } else {
        Err(format!("{} is not of {version}", id(object)))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Object<S> {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: S,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Metadata {
    name: String,
    namespace: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// A time such as `15s`, as all of these kinds understand it.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Period;

impl TryFrom<String> for Period {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let pattern = Regex::new("^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?$").unwrap();
        let is_period = !text.is_empty() && pattern.is_match(&text);
        is_period
            .then_some(Self)
            .ok_or_else(|| format!("`{text}` is no time"))
    }
}

/// <https://gateway-api.sigs.k8s.io/reference/spec/#httproute>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HttpRoute {
    parent_refs: Vec<ParentReference>,
    hostnames: Vec<String>,
    rules: Vec<RouteRule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ParentReference {
    name: String,
    namespace: Option<String>,
    section_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RouteRule {
    matches: Vec<RouteMatch>,
    timeouts: RouteTimeouts,
    backend_refs: Vec<BackendReference>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RouteMatch {
    path: PathMatch,
    method: Method,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PathMatch {
    r#type: PathMatchType,
    value: String,
}

#[derive(Deserialize)]
enum PathMatchType {
    PathPrefix,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Method {
    Post,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RouteTimeouts {
    request: Period,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BackendReference {
    name: String,
    port: u16,
}

/// <https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.PodMonitor>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PodMonitor {
    selector: Selector,
    pod_metrics_endpoints: Vec<PodMetricsEndpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Selector {
    match_labels: BTreeMap<String, String>,
    match_expressions: Vec<Requirement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Deserialize)]
enum Operator {
    In,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PodMetricsEndpoint {
    port: String,
    path: String,
    interval: Period,
}

/// <https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.PrometheusRule>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PrometheusRule {
    groups: Vec<RuleGroup>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleGroup {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Rule {
    Recording(RecordingRule),
    Alerting(AlertingRule),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordingRule {
    record: String,
    expr: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AlertingRule {
    alert: String,
    expr: String,
    r#for: Option<Period>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

/// <https://keda.sh/docs/latest/reference/scaledobject-spec/>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ScaledObject {
    scale_target_ref: ScaleTarget,
    min_replica_count: u16,
    max_replica_count: u16,
    polling_interval: u16,
    advanced: Advanced,
    triggers: Vec<Trigger>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScaleTarget {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Advanced {
    horizontal_pod_autoscaler_config: AutoscalerConfig,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AutoscalerConfig {
    behavior: Behavior,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Behavior {
    scale_up: ScalingRules,
    scale_down: ScalingRules,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ScalingRules {
    stabilization_window_seconds: u16,
    select_policy: Option<SelectPolicy>,
    policies: Vec<ScalingPolicy>,
}

#[derive(Deserialize)]
enum SelectPolicy {
    Max,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ScalingPolicy {
    r#type: ScalingPolicyType,
    value: u16,
    period_seconds: u16,
}

#[derive(Deserialize)]
enum ScalingPolicyType {
    Pods,
    Percent,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Trigger {
    r#type: TriggerType,
    metric_type: MetricType,
    metadata: MetricsApi,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum TriggerType {
    MetricsApi,
}

#[derive(Deserialize)]
enum MetricType {
    AverageValue,
    Value,
}

/// <https://keda.sh/docs/latest/scalers/metrics-api/>. Every value is text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MetricsApi {
    url: String,
    value_location: String,
    target_value: String,
}
