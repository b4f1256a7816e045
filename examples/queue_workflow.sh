#!/bin/sh
# Runs an API-format workflow in ComfyUI, and saves what it makes.
#
# Usage: queue_workflow.sh WORKFLOW OUTPUT [--input FILE] [--server URL]
#
# It asks every second whether the workflow has ended. It needs curl and jq. In ComfyUI, File > Export (API) writes a
# workflow in this format.
set -eu

server=http://127.0.0.1:8188
input=

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

usage() { fail "Usage: ${0##*/} WORKFLOW OUTPUT [--input FILE] [--server URL]"; }

[ $# -ge 2 ] || usage
workflow=$1 output=$2
shift 2
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage
    case $1 in
        --input) input=$2 ;;
        --server) server=${2%/} ;;
        *) usage ;;
    esac
    shift 2
done

for tool in curl jq; do
    command -v "$tool" >/dev/null || fail "$tool is needed, and was not found."
done

ask() { curl --silent "$@" || fail "ComfyUI cannot be reached at $server, or does not do what it was asked."; }

[ -r "$workflow" ] || fail "$workflow cannot be read."
graph=$(jq -e 'if all(.[]; has("class_type")) then . else null end' "$workflow" 2>/dev/null) ||
    fail "$workflow is not in the API format, which File > Export (API) writes in ComfyUI."

if [ -n "$input" ]; then
    [ -r "$input" ] || fail "$input cannot be read."
    stored=$(ask --fail --form "image=@\"$input\"" "$server/upload/image")
    # The first node that loads a file loads this one.
    graph=$(printf '%s' "$graph" | jq -e --argjson stored "$stored" '
        {LoadImage: "image", LoadVideo: "file"} as $loaders
        | ([to_entries[] | select($loaders[.value.class_type])][0].key // empty) as $node
        | .[$node].inputs[$loaders[.[$node].class_type]] =
            ([$stored.subfolder, $stored.name] | map(select(. != "")) | join("/"))
    ') || fail "The workflow has no node that could load a file: LoadImage or LoadVideo."
fi

answer=$(printf '%s' "$graph" | jq '{prompt: .}' |
    ask --header "Content-Type: application/json" --data-binary @- "$server/prompt")
wrong=$(printf '%s' "$answer" | jq -r --argjson graph "$graph" '
    [(.node_errors // {}) | if type == "object" then to_entries[] else empty end
        | ($graph[.key]._meta.title // $graph[.key].class_type) as $title
        | .value.errors[] | "\($title): \(.message) (\(.details))"] | join("; ")')
prompt=$(printf '%s' "$answer" | jq -er .prompt_id) ||
    fail "ComfyUI refuses the workflow: ${wrong:-$(printf '%s' "$answer" | jq -r .error.message)}."

history={}
until printf '%s' "$history" | jq -e --arg id "$prompt" 'has($id)' >/dev/null; do
    sleep 1
    history=$(ask --fail "$server/history/$prompt")
done

entry=$(printf '%s' "$history" | jq --arg id "$prompt" '.[$id]')
failure=$(printf '%s' "$entry" | jq -r --argjson graph "$graph" '
    .status.messages[]
    | if .[0] == "execution_error" then
        .[1] | "\($graph[.node_id]._meta.title // .node_type): \(.exception_message | gsub("\\s+"; " "))"
      elif .[0] == "execution_interrupted" then "The workflow was interrupted."
      else empty end')
[ -z "$failure" ] || fail "$failure"

mkdir -p "$output"
printf '%s' "$entry" | jq -r '
    .outputs[][] | .[] | objects | select(.type == "output")
    | [.filename, "filename=\(.filename | @uri)&subfolder=\(.subfolder | @uri)&type=output"] | @tsv' |
    while IFS="$(printf '\t')" read -r name query; do
        ask --fail --output "$output/${name##*/}" "$server/view?$query"
        printf '%s\n' "$output/${name##*/}"
    done

[ -z "$wrong" ] || fail "ComfyUI left out a part of the workflow: $wrong."
