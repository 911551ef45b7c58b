#!/bin/sh
# Writes the secrets of compose.yaml into ./secrets, those that are not there yet.
#
#   ./make-secrets.sh [WEBHOOK_SECRET]
#
# WEBHOOK_SECRET is the one that you type into Razorpay's dashboard. Without it, one is made up.
set -eu
cd "$(dirname "$0")"

random() {
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

# write NAME VALUE
write() {
    if [ -e "secrets/$1" ]; then
        echo "secrets/$1 is there already"
    else
        printf '%s\n' "$2" > "secrets/$1"
        # The processes in the containers are not you. The folder keeps others out.
        chmod 0444 "secrets/$1"
        echo "wrote secrets/$1"
    fi
}

mkdir -p secrets/razorpay
chmod 0700 secrets
chmod 0755 secrets/razorpay
write postgres-password "$(random)"
write postgres-url "postgres://harkara:$(cat secrets/postgres-password)@postgres:5432/harkara"
# A file for each endpoint.
write razorpay/default "${1:-$(random)}"
write grafana-password "$(random)"
echo "the webhook secret for Razorpay's dashboard is in secrets/razorpay/default"
