-- A device is linked by scanning the picture it shows, restarts as told, and logs in.
scenario {
  name = "a picture is scanned, the restart is a login",
  tags = { "pairing", "smoke" },
}
local phone = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
expect.never(device, "disconnected")

device:start()
local qr = device:await_qr { within = "2s" }
local jid = phone:scan(qr)
device:await("connected", { within = "10s" })
expect(device.jid):equals(jid)
expect(device.streams):equals(1)
expect(device.connects):equals(2)
expect(device.qr):is_nil()
expect(#phone.companions):equals(1)
expect(phone.companions[1].online):is_true()
server:await("active", { device = device, within = "5s" })
