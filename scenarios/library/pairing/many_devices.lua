-- One phone links four devices at once, each by its own picture.
scenario {
  name = "four devices are linked side by side",
  tags = { "pairing", "parallel" },
}
local phone = server:phone { number = "15550100001" }
local function linked(name)
  local device = engine:device(name)
  return function()
    device:start()
    phone:scan(device:await_qr { within = "5s" })
    device:await("connected", { within = "15s" })
    return device.jid
  end
end
local a, b, c, d = parallel(linked "shop-1", linked "shop-2", linked "shop-3", linked "shop-4")
local seen = {}
for _, jid in ipairs { a, b, c, d } do seen[jid] = true end
local count = 0
for _ in pairs(seen) do count = count + 1 end
expect(count):equals(4)
expect(#phone.companions):equals(4)
