// A backend that knows nothing of sessions: it says what it was told, by HTTP and by websocket.
import { createHash } from "node:crypto";
import { createServer } from "node:http";

const told = (request, body = "") => {
  const headers = [];
  for (let at = 0; at < request.rawHeaders.length; at += 2) {
    headers.push([request.rawHeaders[at], request.rawHeaders[at + 1]]);
  }
  // A username is percent-encoded UTF-8, and empty for nobody.
  const user = decodeURIComponent(request.headers["remote-user"] ?? "");
  const { method, url } = request;
  return JSON.stringify({ user, method, url, headers, body }, null, 2) + "\n";
};

const server = createServer((request, response) => {
  let body = "";
  request.setEncoding("latin1");
  request.on("data", (chunk) => (body += chunk));
  request.on("end", () => {
    const { searchParams } = new URL(request.url, "http://backend");
    response.writeHead(Number(searchParams.get("status") ?? 200), {
      "Content-Type": "application/json",
      "Set-Cookie": "theme=dark; Path=/",
    });
    response.end(told(request, body));
  });
});

// A handshake by hand (RFC 6455, section 4.2.2), and one text frame; then it hangs up.
server.on("upgrade", (request, socket) => {
  const magic = request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  const text = Buffer.from(told(request));
  const length = Buffer.alloc(4, 0x81);
  length[1] = 126;
  length.writeUInt16BE(text.length, 2);
  socket.write(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `Sec-WebSocket-Accept: ${createHash("sha1").update(magic).digest("base64")}\r\n\r\n`,
  );
  socket.write(length);
  socket.end(text);
});

server.listen(Number(process.argv[2] ?? 9302), "127.0.0.1", () => {
  console.log("listening");
});
