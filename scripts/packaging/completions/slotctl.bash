# Completion of slotctl for bash.
_slotctl() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} verb= i
  local verbs="status slots workers logs events drain undrain restart doctor releases pack keygen sign verify help"
  local options="--socket --service --json --version --help"
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${COMP_WORDS[i]}" in
      --socket | --service) ((i++)) ;;
      -*) ;;
      *) verb=${COMP_WORDS[i]} && break ;;
    esac
  done
  case "$before" in
    --socket | --config | --base | --sign | --key | --trusted | --to) mapfile -t COMPREPLY < <(compgen -f -- "$word") && return ;;
    --service)
      mapfile -t COMPREPLY < <(compgen -W "$(basename -s .sock -a /run/slotd/*.sock 2>/dev/null)" -- "$word") && return
      ;;
    --format) mapfile -t COMPREPLY < <(compgen -W "gz zst" -- "$word") && return ;;
    --reason | --version | --name | --worker | -n | --lines | --last) COMPREPLY=() && return ;;
  esac
  case "$verb" in
    status) options+=" --watch" ;;
    slots) options+=" --watch --no-header" ;;
    workers) options+=" --watch" ;;
    logs) options+=" --worker --lines --follow --raw" ;;
    events) options+=" --last --follow" ;;
    drain | restart) options+=" --reason --no-wait" ;;
    doctor) options+=" --config" ;;
    pack) options+=" --version --name --base --format --sign --to" ;;
    sign) options+=" --key" ;;
    verify) options+=" --trusted" ;;
  esac
  local words=$options
  if [[ $word != -* ]]; then
    case "$verb" in
      "" | help) words=$verbs ;;
      # Asks the agent; no completions if it does not answer.
      workers | logs | drain | undrain | restart)
        words=$(timeout 2 slotctl slots --no-header 2>/dev/null | cut -d ' ' -f 1)
        ;;
      pack) mapfile -t COMPREPLY < <(compgen -d -- "$word") && return ;;
      keygen | sign | verify) mapfile -t COMPREPLY < <(compgen -f -- "$word") && return ;;
      *) words= ;;
    esac
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _slotctl slotctl
