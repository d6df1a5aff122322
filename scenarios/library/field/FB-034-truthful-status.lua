-- FB-034: the status says connected while sends fail, and still says so after the device was unlinked.
-- The invariant truthful-status judges this scenario at every moment; here are thirty occasions to lie.
scenario {
  name = "whatever ends a stream, connected is not shown without one",
  tags = { "status", "FB-034" },
  loopback_scale = 1/100,
  symptom = { "status WORKING but messages fail", "still connected after unlink" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "4m" })
device:await("connected", { within = "4m" })
local ends = {
  { fault = "close", args = { how = "fin" } },
  { fault = "close", args = { how = "rst" } },
  { fault = "stream_error", args = { code = 503 } },
  { fault = "stream_error", args = { code = 515 } },
  { fault = "stream_error", args = { child = "nonsense" } },
}
for round = 1, mode == "sim" and 30 or 4 do
  local record = ends[math.random(#ends)]
  record.where, record.when, record.id = { device = device }, { manual = true }, "end " .. round
  local ending = server:fault(record)
  ending:fire()
  device:await("connecting", { within = "4m" })
  device:await("connected", { within = "4m" })
  ending:remove()
  pause(math.random(20, 90) .. "s")
end
phone:unlink(device)
device:await("logged_out", { within = "4m" })
expect(device.streams):equals(0)
