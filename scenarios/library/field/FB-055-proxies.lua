-- FB-055: a proxy is ignored by one of two HTTP stacks, a CONNECT that hangs leaks a socket each time.
scenario {
  name = "with a proxy nothing goes round it, and one that fails is named",
  tags = { "proxy", "FB-055" },
  loopback_scale = 1/20,
  symptom = { "407 Proxy Authentication Required", "proxy connect timeout" },
}
local phone = server:phone { number = "15550100001" }
for i, kind in ipairs { "http", "socks5" } do
  local device = engine:device("through-" .. kind, { proxy = kind })
  device:start()
  phone:scan(device:await_qr { within = "1m" })
  device:await("connected", { within = "1m" })
  local earned = device.credentials
  for _, trouble in ipairs { "refuse", "hang", "drop" } do
    local fault = server:fault { id = kind .. " " .. trouble, fault = "proxy", args = { kind = trouble }, where = { device = device } }
    local cut = server:fault { id = "cut " .. kind .. trouble, fault = "close", where = { device = device }, when = { manual = true } }
    cut:fire()
    local connects = device.connects
    device:await("proxy_error", { within = "2m" })
    expect(device.connects):equals(connects)           -- the server saw nothing: nothing went directly
    fault:remove() cut:remove()
    device:await("connected", { within = "3m" })
    expect(device.credentials):equals(earned)
    pause("61s")
  end
end
