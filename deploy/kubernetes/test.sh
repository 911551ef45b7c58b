#!/usr/bin/env bash
# Rolls the minimal overlay out in a new kind cluster with an image, delivers an example of each event, replaces every
# pod under load, and audits every delivery. Deletes the cluster.
#
#   deploy/kubernetes/test.sh IMAGE
#
# Needs Docker, kind and kubectl.
set -euo pipefail
cd "$(dirname "$0")"
image=$1 cluster=harkara-test
for program in docker kind kubectl; do
    command -v "$program" > /dev/null || { echo "$program is missing" >&2; exit 1; }
done

work=$(mktemp -d)
export KUBECONFIG=$work/kubeconfig
finish() {
    kind delete cluster --name "$cluster" > /dev/null 2>&1 || true
    rm -rf "$work"
}
trap finish EXIT
kubectl='kubectl --namespace harkara'
rolled_out() {
    $kubectl rollout status --timeout 3m deployment/harkara-ingress deployment/harkara-worker
}

kind create cluster --name "$cluster" --wait 2m
# The name that the manifests have.
named=$(kubectl kustomize overlays/minimal | sed -n 's/^ *image: \(.*harkara:.*\)$/\1/p' | head -1)
docker tag "$image" "$named"
kind load docker-image --name "$cluster" "$named"
kubectl apply --server-side --kustomize overlays/minimal
if ! rolled_out; then
    $kubectl get pods --output wide >&2
    $kubectl describe pods >&2
    $kubectl logs --all-containers --prefix --selector app.kubernetes.io/name=harkara >&2 || true
    exit 1
fi
$kubectl exec deployment/harkara-ingress -- harkara doctor

# The load runs in a pod of its own, under the same rules, and reads the ledger to audit.
$kubectl apply --filename - << POD
apiVersion: v1
kind: Pod
metadata:
  name: load
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: RuntimeDefault } }
  containers:
    - name: load
      image: $named
      command: [harkara, load, --url, http://harkara-ingress/webhooks/razorpay, --secret, development-secret]
      args: [--rate, "50", --duration, 60s, --json]
      env:
        - { name: HARKARA__POSTGRES__URL, value: "postgres://harkara:harkara@postgres:5432/harkara" }
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL] }
POD
sleep 10
$kubectl rollout restart deployment/harkara-ingress deployment/harkara-worker
rolled_out
$kubectl wait --for jsonpath='{.status.phase}'=Succeeded --timeout 3m pod/load \
    || { $kubectl logs load >&2; exit 1; }
$kubectl logs load > "$work/load.txt"
cat "$work/load.txt"
grep --quiet '"unanswered": *0' "$work/load.txt" || { echo 'the rollout left requests unanswered' >&2; exit 1; }
echo 'rolled out twice, nothing lost, nothing unanswered'
