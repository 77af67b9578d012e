# Completion of slotd for bash.
_slotd() {
  local word=${COMP_WORDS[COMP_CWORD]}
  case "${COMP_WORDS[COMP_CWORD - 1]}" in
    -c | --config) mapfile -t COMPREPLY < <(compgen -f -- "${word:-/etc/slotd/}") ;;
    *) mapfile -t COMPREPLY < <(compgen -W "--config --check-config --json --pretty --version --help" -- "$word") ;;
  esac
}
complete -o filenames -F _slotd slotd
