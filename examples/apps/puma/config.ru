# frozen_string_literal: true

run(lambda do |env|
  request = Rack::Request.new(env)
  body =
    if request.path == "/stream"
      Enumerator.new do |lines|
        10.times do |line|
          lines << "line #{line}\n"
          sleep 0.05
        end
      end
    elsif request.post?
      ["#{request.body.read.length}\n"]
    else
      ["hello\n"]
    end
  [200, { "Content-Type" => "text/plain" }, body]
end)
