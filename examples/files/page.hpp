#pragma once

// The page served at "/". It stands by itself: no file, font or script from anywhere else.

inline constexpr char kPage[] = R"html(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Files</title>
<link rel="icon" href="data:,">
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; }
</style>
<h1>Files</h1>
<form method="post" action="/upload" enctype="multipart/form-data">
  <input type="file" name="file" multiple required aria-label="Files to store">
  <button>Store</button>
</form>
<h2>What has been stored</h2>
<ul id="news"></ul>
<script>
new EventSource("/events").onmessage = event => {
  const link = document.createElement("a");
  link.textContent = event.data;
  link.href = "/files/" + encodeURIComponent(event.data.replace(/, \d+ bytes$/, ""));
  const item = document.createElement("li");
  item.append(link);
  document.getElementById("news").prepend(item);
};
</script>
</html>
)html";
