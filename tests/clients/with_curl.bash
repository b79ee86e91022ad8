#!/usr/bin/env bash
# curl alone, come back by Last-Event-ID until the service says that there is no more (204).
# A frame counts when its blank line is there: what a cut leaves of one comes again.
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
  done < <(curl -sN "$url" -H "Authorization: Bearer $key" -H "Last-Event-ID: $last" \
    -w 'status: %{http_code}\n')
  id="" data=""
  [ "$status" = 204 ] || sleep 0.2
done
