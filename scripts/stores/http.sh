# shellcheck shell=bash disable=SC2154
# nginx: what a web server may do with the files of FOLDER/files. At PORT plainly, and at PORT+1 by TLS.
#   /open/      ranges and tags      /norange/  neither          /slow/    100 KiB a second
#   /login/     user and password    /bearer/   a token          /flaky/   503 for half of the requests
#   /redirect/  leads to /open/      /away/     leads to another host name
#   /upload/    takes PUT            /packed/   sends with gzip whatever is asked for
#   /signed/    takes PUT alone, and none that is to replace nothing
install_http() {
  debian_packages nginx-light openssl
}

run_http() {
  local folder=$1 port=$2
  mkdir -p "$folder/files" "$folder/tmp"
  chmod 777 "$folder/files" "$folder/tmp"
  openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost -addext "subjectAltName=DNS:localhost,IP:$address" \
    -keyout "$folder/key.pem" -out "$folder/cert.pem" 2>/dev/null
  echo "tester:$(openssl passwd -apr1 testing)" >"$folder/users"
  cat >"$folder/nginx.conf" <<CONF
daemon off;
user root;
pid $folder/pid;
error_log stderr;
worker_processes 1;
events { worker_connections 1024; }
http {
  access_log $folder/access.log;
  client_max_body_size 0;
  default_type application/octet-stream;
  types { text/plain txt; }
  client_body_temp_path $folder/tmp/body;
  proxy_temp_path $folder/tmp/proxy;
  fastcgi_temp_path $folder/tmp/fastcgi;
  uwsgi_temp_path $folder/tmp/uwsgi;
  scgi_temp_path $folder/tmp/scgi;
  split_clients "\$request_id" \$unlucky { 50% 1; * 0; }
  server {
    listen $address:$port;
    listen $address:$((port + 1)) ssl;
    ssl_certificate $folder/cert.pem;
    ssl_certificate_key $folder/key.pem;
    location /open/ { alias $folder/files/; }
    location /norange/ { alias $folder/files/; max_ranges 0; etag off; }
    location /slow/ { alias $folder/files/; limit_rate 100k; }
    location /login/ { alias $folder/files/; auth_basic "files"; auth_basic_user_file $folder/users; }
    location /bearer/ { alias $folder/files/; if (\$http_authorization != "Bearer a-token") { return 401; } }
    location /forbidden/ { return 403; }
    location /gone/ { return 410; }
    location /flaky/ { alias $folder/files/; add_header Retry-After 0 always; if (\$unlucky) { return 503; } }
    location /redirect/ { rewrite ^/redirect/(.*)$ /open/\$1 redirect; }
    location /away/ { rewrite ^/away/(.*)$ http://localhost:$port/login/\$1 redirect; }
    location /round/ { return 302 /round/; }
    location /unseen/ { if (\$request_method = HEAD) { return 405; } alias $folder/files/; }
    location /upload/ { alias $folder/files/; dav_methods PUT; create_full_put_path on; }
    location /signed/ { alias $folder/files/; dav_methods PUT; if (\$request_method != PUT) { return 403; } if (\$http_if_none_match = "*") { return 412; } }
    location /private/ { alias $folder/files/; dav_methods PUT; create_full_put_path on; auth_basic "files"; auth_basic_user_file $folder/users; }
    location /packed/ { alias $folder/files/; add_header Content-Encoding gzip; }
  }
}
CONF
  become nginx -c "$folder/nginx.conf" -e stderr
}
