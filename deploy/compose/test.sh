#!/usr/bin/env bash
# Starts compose.yaml with an image, delivers under load while a worker is killed and Redis restarted, and audits every
# delivery. Leaves nothing behind.
#
#   deploy/compose/test.sh IMAGE
#
# Needs an engine that `docker compose` can use (DOCKER_HOST), and the images of Redis and PostgreSQL (REDIS_IMAGE,
# POSTGRES_IMAGE).
set -euo pipefail
cd "$(dirname "$0")"
export HARKARA_IMAGE=$1 COMPOSE_PROJECT_NAME=harkara-test HARKARA_PUBLISH=${HARKARA_PUBLISH:-127.0.0.1:18080}
compose=${COMPOSE:-docker compose}
seconds=${SECONDS_OF_LOAD:-20}

if ! docker version > /dev/null 2>&1; then
    echo 'no Docker engine answers; start one, or set DOCKER_HOST to it' >&2
    exit 1
fi

work=$(mktemp -d)
cp -r compose.yaml make-secrets.sh observability "$work/"
cd "$work"
finish() {
    $compose down --volumes --timeout 5 > /dev/null 2>&1 || true
    rm -rf "$work"
}
trap finish EXIT
./make-secrets.sh
$compose config --quiet
began=$SECONDS
$compose up --detach --wait --quiet-pull --scale worker=2
echo "up in $((SECONDS - began)) s"
$compose exec -T ingress harkara doctor

# The load runs in the network of the deployment, with the exact secret.
$compose run --rm --no-deps -T --name harkara-test-load --entrypoint harkara ingress \
    load --url http://ingress:8080/webhooks/razorpay --secret "$(cat secrets/razorpay/default)" \
    --rate 100 --duration "${seconds}s" > load.txt 2>&1 &
load=$!
sleep $((seconds / 4))
docker kill "$($compose ps --quiet worker | head -1)" > /dev/null
$compose up --detach --no-recreate --scale worker=2 > /dev/null 2>&1
$compose restart redis > /dev/null 2>&1
if ! wait "$load"; then
    cat load.txt >&2
    $compose logs >&2
    exit 1
fi
cat load.txt

# As editors do it: a new file takes the place of the old one.
echo another-secret-of-the-test > secrets/rotated
chmod 0444 secrets/rotated
mv --force secrets/rotated secrets/razorpay/default
tries=0
until $compose exec -T ingress harkara trigger payment.captured --url http://127.0.0.1:8080/webhooks/razorpay \
    --secret another-secret-of-the-test > rotated.txt 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || { cat rotated.txt >&2; echo 'the new webhook secret is not accepted' >&2; exit 1; }
    sleep 1
done
echo 'webhook secret rotated'
$compose stop > /dev/null 2>&1
for service in ingress worker; do
    for container in $($compose ps --all --quiet "$service"); do
        code=$(docker inspect --format '{{.State.ExitCode}}' "$container")
        [ "$code" = 0 ] || { echo "$service ended with $code" >&2; exit 1; }
    done
done
echo 'nothing lost, everything stopped in order'
