-- FB-051: "Unsupported state or unable to authenticate data", and the process with all its sessions ends.
scenario {
  name = "a frame that does not authenticate ends its own stream and no other",
  tags = { "noise", "bad mac", "FB-051" },
  loopback_scale = 1/20,
  symptom = { "Unsupported state or unable to authenticate data", "bad MAC on the transport" },
}
local phone  = server:phone { number = "15550100001" }
local devices = {}
for i = 1, mode == "sim" and 10 or 3 do
  local device = engine:device("shop-" .. i)
  device:start()
  phone:scan(device:await_qr { within = "1m" })
  device:await("connected", { within = "1m" })
  devices[i] = device
end
local hit = devices[1]
local earned = hit.credentials
local spoilt = server:fault {
  fault = "corrupt", args = { flip_byte = -1 }, where = { device = hit, direction = "to_client" }, when = { nth = 1 },
}
local state = hit:await("connecting", { within = "2m" })  -- the next frame, a pong at the latest
expect(state.code):is_nil()                            -- nobody said a code, so there is none
hit:await("connected", { within = "1m" })
expect(hit.connects):equals(3)
expect(hit.credentials):equals(earned)
for i = 2, #devices do
  expect(devices[i].state):equals("connected")
  expect(devices[i].connects):equals(2)
end
