# frozen_string_literal: true

# "only": otherwise Puma also listens on its default port, past slotd, and a second worker finds that port taken.
bind_to_activated_sockets "only"
threads 1, 8
# Otherwise Puma resets connections that it has accepted but not read when it is told to end.
queue_requests false
