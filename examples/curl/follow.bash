#!/usr/bin/env bash
# Print every event of a run once: follow.bash STREAM_URL ACCESS_KEY
# curl alone does not reconnect. This loop reconnects with Last-Event-ID until the service returns
# 204: the client has seen the last event. An event counts when its blank line has arrived; the
# service sends an incomplete one again.
url=$1 key=$2
last="" id="" data="" status=""

until [ "$status" = 204 ]; do
  while IFS= read -r line; do
    case $line in
      "id: "*) id=${line#id: } ;;
      "data: "*) data=${line#data: } ;;
      "status: "*) status=${line#status: } ;;
      "")
        [ -z "$data" ] || printf '%s %s\n' "$id" "$data"
        last=$id id="" data=""
        ;;
    esac
  done < <(curl -sNL "$url" -H "Authorization: Bearer $key" -H "Last-Event-ID: $last" \
    -w 'status: %{http_code}\n')
  id="" data=""
  [ "$status" = 204 ] || sleep 0.2
done
