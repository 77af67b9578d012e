# Completion of slotd-controller for bash.
_slotd_controller() {
  local word=${COMP_WORDS[COMP_CWORD]} verb= i
  local verbs="publish deploy prepare promote rollback resume abort status hosts edges revisions watch converge"
  verbs+=" shutdown force-shutdown install uninstall repair setup help"
  local options="--nats --context --creds --nkey --user --password-file --token-file --tlsca --tlscert --tlskey"
  options+=" --json --timeout --replicas --version --help"
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${COMP_WORDS[i]}" in
      --nats | --context | --creds | --nkey | --user | --password-file | --token-file) ((i++)) ;;
      --tlsca | --tlscert | --tlskey | --timeout | --replicas) ((i++)) ;;
      -*) ;;
      *) verb=${COMP_WORDS[i]} && break ;;
    esac
  done
  local orders="--slot --host --all-hosts --unseen --wait --by --epoch --id"
  local run="--by --barrier-timeout --without-edge --lease --patience"
  local waves="$run --wave --max-failures --pause --only --exclude"
  case "$verb" in
    publish) options+=" --to --headers-file --format --mirror --any-name --replace" ;;
    deploy | prepare) options+=" $waves --canary --exclude-absent --message --release --live --dry-run" ;;
    promote | abort) options+=" $run" ;;
    rollback) options+=" $run --exclude-absent" ;;
    resume) options+=" $run --max-failures --exclude-absent" ;;
    converge) options+=" $waves --exclude-absent" ;;
    shutdown) options+=" $waves" ;;
    force-shutdown) options+=" $waves --reason" ;;
    edges) options+=" --forget" ;;
    install) options+=" $orders --workers --url --sha256 --size --release" ;;
    uninstall) options+=" $orders --drain-timeout --force --reason" ;;
    repair) options+=" --yes" ;;
    status) options+=" --watch" ;;
  esac
  if [[ ${COMP_WORDS[COMP_CWORD - 1]} == --@(creds|nkey|password-file|token-file|tlsca|tlscert|tlskey|headers-file|release|to) ]] || [[ $verb == publish && $word != -* ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
  elif [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
  elif [[ -z $verb || $verb == help ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$word")
  fi
}
complete -F _slotd_controller slotd-controller
