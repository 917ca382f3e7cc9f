#!/bin/sh
# curl.sh URL INPUT: submit a job, follow it to its end and read its rows. FANFOLD_TOKEN says who.
set -eu
url=$1 input=$2

request() {  # request QUERY VARIABLES [curl's options]
    query=$(echo "$1" | tr '\n' ' ') variables=$2
    shift 2
    curl --silent --show-error --fail --no-buffer "$@" --header 'Content-Type: application/json' \
        ${FANFOLD_TOKEN:+--header "Authorization: Bearer $FANFOLD_TOKEN"} \
        --data "{\"query\": \"$query\", \"variables\": $variables}" "$url"
}

id=$(request 'mutation Submit($input: SubmitJobInput!) { submitJob(input: $input) {
        ... on SubmitJobSuccess { job { id } } ... on UserError { code message } } }' \
    "{\"input\": $input}" | sed -n 's/.*"id": *"\([^"]*\)".*/\1/p')
echo "${id:?was not accepted}"

# A stream that breaks off is begun again; its first event is the present state.
until request 'subscription Follow($id: ID!) {
        jobStatus(id: $id) { id version state phase ratio map { succeeded total } } }' \
    "{\"id\": \"$id\"}" --header 'Accept: text/event-stream' | {
    while read -r line; do
        echo "$line"
        test "$line" != 'event: complete' || exit 0
    done
    exit 1
}; do
    sleep 1
    status=$(request '{ __typename }' '{}' --output /dev/null --write-out '%{http_code}' || :)
    test "$status" != 401  # the token is refused, and would be again
done

request 'query Read($id: ID!) { job(id: $id) { result { rows(first: 100) { edges { node } } } } }' \
    "{\"id\": \"$id\"}"
echo
