# The active VCL: it only says which service gets a request. slotd-edge points the label slotd_SERVICE to the newest VCL of each.
vcl 4.1;

backend default none;

sub vcl_recv {
  if (req.http.Host ~ "(?i)^shop\.example(:\d+)?$") { return (vcl(slotd_shop)); }
  if (req.http.Host ~ "(?i)^blog\.example(:\d+)?$") { return (vcl(slotd_blog)); }
  # By path: if (req.url ~ "^/blog/") { return (vcl(slotd_blog)); }
  return (synth(404, "No such site"));
}
