# Completion of slotd-controller for bash.
_slotd_controller() {
  local word=${COMP_WORDS[COMP_CWORD]} verb= i
  local verbs="publish install uninstall status watch setup help"
  local options="--nats --creds --json --timeout --replicas --help"
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${COMP_WORDS[i]}" in
      --nats | --creds | --timeout | --replicas) ((i++)) ;;
      -*) ;;
      *) verb=${COMP_WORDS[i]} && break ;;
    esac
  done
  local orders="--slot --host --all-hosts --wait --by --epoch --id"
  case "$verb" in
    publish) options+=" --to --headers-file --format --mirror" ;;
    install) options+=" $orders --workers --url --sha256 --size --release" ;;
    uninstall) options+=" $orders --drain-timeout --force --reason" ;;
    status) options+=" --watch" ;;
  esac
  if [[ ${COMP_WORDS[COMP_CWORD - 1]} == --@(creds|headers-file|release|to) ]] || [[ $verb == publish && $word != -* ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
  elif [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
  elif [[ -z $verb || $verb == help ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$word")
  fi
}
complete -F _slotd_controller slotd-controller
