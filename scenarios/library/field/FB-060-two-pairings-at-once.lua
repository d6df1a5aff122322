-- FB-060: two pairing flows share one device: each overwrites the other's keys, and "linked: true" means that there are
-- files, while every connect gets a 401. Here the first flow owns the device; the second is refused and told by whom.
-- And a device that says that it is linked has an account that the server has not declared dead.
-- Left to later: the gateway's 409.
scenario {
  name = "of two pairing flows the second is refused with the owner's name, and a device that was unlinked says so",
  tags = { "pairing", "owner", "FB-060" },
  loopback_scale = 1/20,
  symptom = { "linked: true while every connect gets 401", "health check green with no device", "401 after two logins" },
}
local phone = server:phone { number = "15550100001" }
local rival = server:phone { number = "15550100002" }
local front = engine.new("front"):device "shop-1"
local back  = engine.new("back"):device "shop-1"
front:start()
local qr = front:await_qr { within = "1m" }
back:start()
local refused = back:await("disconnected", { reason = "owned_elsewhere", within = "1m" })
expect(refused.owner):contains("front")
expect.error(function() back:start { pairing_number = rival.number } back:await_pairing_code { within = "5s" } end):code("timed_out")
expect(back.qr):is_nil()
expect(#server:history("connected")):equals(1)         -- it has not even dialled

expect(phone:scan(qr, { within = "1m" })):is_not_nil() -- the code of the first one is as good as before
front:await("connected", { within = "1m" })
local linked = front:inspect().credentials
expect(linked):is_not_nil()
pause "20s"
expect(back.state):equals("disconnected")
expect(back.reason):equals("owned_elsewhere")
expect.never(back, "waiting_for_scan")

-- Linked is who has an account. It is gone within a second of the server's word, seen live or at the next login.
phone:unlink(front)
local gone = front:await("logged_out", { within = mode == "sim" and "1s" or "20s" })
expect(gone.jid):is_nil()
pause "500ms"
expect(front.credentials):is_nil()
front:start()
phone:scan(front:await_qr { within = "1m" }, { within = "1m" })
front:await("connected", { within = "1m" })
expect(front.credentials):differs(linked)
local jid = front.jid
front:kill()
phone:unlink(jid)
front:start()
gone = front:await("logged_out", { within = "1m" })
expect(gone.jid):is_nil()
pause "500ms"
expect(front.credentials):is_nil()
